package sqlcatalog

import "github.com/hartonomous/ingest/ingest"

// nameRows collects the names of a model from rows of one name and one of its files each.
type nameRows struct {
	Names []ingest.Name // in the order of their rows
	last  int64
}

// add takes a row: the name's number, the name, and a file that it covers, or one without an ID for
// none. The rows of a name are consecutive.
func (r *nameRows) add(id int64, name ingest.Alias, file ingest.NamedFile) {
	if id != r.last {
		r.Names, r.last = append(r.Names, ingest.Name{Alias: name}), id
	}
	if file.ID != 0 {
		n := &r.Names[len(r.Names)-1]
		n.Files = append(n.Files, file)
	}
}
