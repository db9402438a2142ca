package main

import (
	"context"

	"github.com/hartonomous/ingest/ingest"
)

// placed is the place of a file that is stored whole.
type placed struct {
	place    string // "segments" (of another model), "row", "store" or "path"
	location string // the address or the path; empty for the others
	trusted  bool   // the digest is only claimed by the file's name
}

// whereIs returns the place of a registered model's file.
func whereIs(ctx context.Context, catalog ingest.Atoms, file ingest.StoredFile) (placed, error) {
	atom, err := catalog.FileAtom(ctx, file.Atom)
	w := placed{place: "path", location: atom.Locator, trusted: atom.Trusted()}
	switch {
	case atom.InSegments:
		w.place, w.location = "segments", ""
	case atom.InRow:
		w.place, w.location = inRows, ""
	case atom.Address.URI != "":
		w.place, w.location = "store", atom.Address.URI
	}
	return w, err
}

// showPlaces prints the places of a registered model's files.
func (p *program) showPlaces(ctx context.Context, catalog ingest.Atoms, m ingest.Summary, sum *showSummary) error {
	if m.State != ingest.ModelRegistered {
		return nil
	}
	p.section()
	rows := [][]any{{"BYTES OF", "ARE IN", "LOCATION", "SHA-256"}}
	for _, f := range m.Files {
		w, err := whereIs(ctx, catalog, f)
		if err != nil {
			return err
		}
		if p.json {
			sum.Places++
			p.printJSON(placeObject{"place", f.Name, w.place, w.location, !w.trusted})
			continue
		}
		digest := "computed"
		if w.trusted {
			digest = "claimed by its name, not computed"
		}
		rows = append(rows, []any{f.Name, map[string]string{"path": "a file", "store": "a store", inRows: "a row",
			"segments": "segments of a stored model"}[w.place], w.location, digest})
	}
	if !p.json {
		p.table(rows)
	}
	return nil
}

// storedBytes returns the stored size of a model for a list, or the place of a registered one.
func storedBytes(ctx context.Context, catalog ingest.Atoms, m ingest.Summary) (string, error) {
	if m.State != ingest.ModelRegistered || len(m.Files) == 0 {
		return human(m.BytesStored), nil
	}
	w, err := whereIs(ctx, catalog, m.Files[0])
	return map[string]string{"path": "at its path", "store": "in a store", inRows: "in a row",
		"segments": "in segments"}[w.place], err
}
