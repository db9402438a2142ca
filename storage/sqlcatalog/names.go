package sqlcatalog

import "github.com/hartonomous/ingest/ingest"

// nameRows gathers the names of a model from rows of a name and one of its files each.
type nameRows struct {
	Names []ingest.Name // in the order of their rows
	last  int64
}

// add takes a row: the name's number, the name, and a file that goes by it, or 0 for a name
// without files. The rows of a name follow each other.
func (r *nameRows) add(id int64, name ingest.Alias, file ingest.FileID) {
	if id != r.last {
		r.Names, r.last = append(r.Names, ingest.Name{Alias: name}), id
	}
	if file != 0 {
		n := &r.Names[len(r.Names)-1]
		n.Files = append(n.Files, file)
	}
}
