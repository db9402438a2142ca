package catalogtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// Auditor is a catalogue that can look for rows that contradict each other, such as
// an atom whose ReferenceCount is not the number of rows that refer to it.
type Auditor interface {
	Audit(ctx context.Context) error
}

// Check returns what is wrong with a catalogue at this moment: rows that
// contradict each other, segments that do not cover their file up to where it is
// recorded, a model that is complete and not whole, a row without a payload. stored says
// whether the store has a payload; it may be nil, and is not asked for payloads in rows.
func Check(ctx context.Context, c ingest.Catalog, stored func(ingest.Digest) bool) error {
	var found []error
	if a, ok := unwrap(c).(Auditor); ok {
		found = append(found, a.Audit(ctx))
	}
	for model, err := range c.Models(ctx) {
		if err != nil {
			return errors.Join(append(found, err)...)
		}
		if model.State == ingest.ModelRemoving { // of which some rows are gone
			continue
		}
		segments := int64(0)
		for _, f := range model.Files {
			n, err := checkFile(ctx, c, &model, f, stored)
			segments += n
			found = append(found, err)
		}
		if segments != model.Segments {
			found = append(found, fmt.Errorf("model %d has %d segments and says %d", model.ID, segments,
				model.Segments))
		}
		found = append(found, checkNames(&model))
	}
	return errors.Join(found...)
}

func unwrap(c ingest.Catalog) ingest.Catalog {
	if f, ok := c.(*faulty); ok {
		return f.Catalog
	}
	return c
}

// checkFile returns the number of segments of the file, and what is wrong with it.
func checkFile(ctx context.Context, c ingest.Catalog, m *ingest.Summary, f ingest.StoredFile,
	stored func(ingest.Digest) bool) (int64, error) {
	segments, at := int64(0), int64(0)
	for piece, err := range c.Segments(ctx, f.ID, 0) {
		if err != nil {
			return segments, err
		}
		if piece.Offset != at || piece.Bytes < 1 || piece.File != f.ID || piece.Digest.IsZero() {
			return segments, fmt.Errorf("file %d: after byte %d comes %+v", f.ID, at, piece)
		}
		if !piece.InRow && stored != nil && !stored(piece.Digest) {
			return segments, fmt.Errorf("file %d: the segment at %d has a row and no payload (%s)", f.ID, at,
				piece.Digest)
		}
		at += piece.Bytes
		segments++
	}
	if at != f.Recorded || f.Model != m.ID {
		return segments, fmt.Errorf("file %d of model %d: its segments end at %d, recorded are %d", f.ID, m.ID, at,
			f.Recorded)
	}
	if m.State == ingest.ModelRegistered && (f.Digest.IsZero() || !f.Whole || f.Recorded != 0) {
		return segments, fmt.Errorf("file %d of registered model %d: %+v", f.ID, m.ID, f)
	}
	if m.State == ingest.ModelComplete && (f.Recorded != f.Bytes || f.Digest.IsZero() || !f.Expected.IsZero() &&
		f.Expected != f.Digest) {
		return segments, fmt.Errorf("file %d of complete model %d is not whole: %+v", f.ID, m.ID, f)
	}
	return segments, nil
}

// checkNames makes sure that a model has a name, and that names speak of its own files.
func checkNames(m *ingest.Summary) error {
	if len(m.Names) == 0 {
		return fmt.Errorf("model %d has no name", m.ID)
	}
	own := make(map[ingest.FileID]bool, len(m.Files))
	for _, f := range m.Files {
		own[f.ID] = true
	}
	for _, name := range m.Names {
		for _, id := range name.Files {
			if !own[id] {
				return fmt.Errorf("model %d: name %q speaks of file %d", m.ID, name.Name, id)
			}
		}
	}
	return nil
}
