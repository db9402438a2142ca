package catalogtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// Auditor is implemented by catalogues that can find inconsistent rows, such as an atom whose
// ReferenceCount is not the number of rows that refer to it.
type Auditor interface {
	Audit(ctx context.Context) error
}

// Check returns an error if a catalogue is inconsistent: rows that contradict each other, segments
// that do not cover the recorded part of their file, a complete model with incomplete files, or a
// row without a payload. stored reports whether the store has a payload; it may be nil, and is not
// called for payloads in rows.
func Check(ctx context.Context, c ingest.Catalog, stored func(ingest.Digest) bool) error {
	var found []error
	if a, ok := unwrap(c).(Auditor); ok {
		found = append(found, a.Audit(ctx))
	}
	for model, err := range c.Models(ctx) {
		if err != nil {
			return errors.Join(append(found, err)...)
		}
		if model.State == ingest.ModelRemoving { // some of its rows may be deleted
			continue
		}
		if len(model.Files) == 0 { // another program wrote it
			found = append(found, checkTensors(ctx, c, model.ID, stored))
			continue
		}
		segments, saved := int64(0), int64(0)
		for _, f := range model.Files {
			n, less, err := checkFile(ctx, c, &model, f, stored)
			segments, saved = segments+n, saved+less
			found = append(found, err)
		}
		if saved != model.BytesSaved {
			found = append(found, fmt.Errorf("the payloads of model %d save %d bytes, its row says %d", model.ID, saved,
				model.BytesSaved))
		}
		if segments != model.Segments {
			found = append(found, fmt.Errorf("model %d has %d segments, its row says %d", model.ID, segments,
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

// checkFile returns the number of segments of the file and the bytes that their payloads save, and
// an error if the file is inconsistent.
func checkFile(ctx context.Context, c ingest.Catalog, m *ingest.Summary, f ingest.StoredFile,
	stored func(ingest.Digest) bool) (segments, saved int64, err error) {
	at := int64(0)
	for segment, err := range c.Segments(ctx, f.ID, 0) {
		if err != nil {
			return segments, saved, err
		}
		if segment.Offset != at || segment.Bytes < 1 || segment.File != f.ID || segment.Digest.IsZero() {
			return segments, saved, fmt.Errorf("file %d: after byte %d comes %+v", f.ID, at, segment)
		}
		if !segment.InRow && stored != nil && !stored(segment.Digest) {
			return segments, saved, fmt.Errorf("file %d: the segment at %d has a row and no payload (%s)", f.ID, at,
				segment.Digest)
		}
		if segment.Address.Codec != "" {
			saved += segment.Bytes - segment.Address.Bytes
		}
		at += segment.Bytes
		segments++
	}
	if at != f.Recorded || f.Model != m.ID {
		return segments, saved, fmt.Errorf("file %d of model %d: its segments end at %d, but %d bytes are recorded",
			f.ID, m.ID, at, f.Recorded)
	}
	if m.State == ingest.ModelRegistered && (f.Digest.IsZero() || !f.Whole || f.Recorded != 0) {
		return segments, saved, fmt.Errorf("file %d of registered model %d: %+v", f.ID, m.ID, f)
	}
	if m.State == ingest.ModelComplete && (f.Recorded != f.Bytes || f.Digest.IsZero() || !f.Expected.IsZero() &&
		f.Expected != f.Digest) {
		return segments, saved, fmt.Errorf("file %d of complete model %d is incomplete: %+v", f.ID, m.ID, f)
	}
	return segments, saved, nil
}

// checkTensors returns an error if a segment of another program's model has an address, and no
// digest or no payload.
func checkTensors(ctx context.Context, c ingest.Catalog, id ingest.ModelID, stored func(ingest.Digest) bool) error {
	for segment, err := range c.TensorSegments(ctx, id) {
		if err != nil {
			return err
		}
		if segment.Address.URI != "" && segment.Digest.IsZero() {
			return fmt.Errorf("model %d: the row of %s has an address and no digest", id, segment.Place())
		}
		if !segment.InRow && stored != nil && !stored(segment.Digest) {
			return fmt.Errorf("model %d: %s has a row and no payload", id, segment.Place())
		}
	}
	return nil
}

// checkNames checks that a model has a name, and that its names refer to its own files.
func checkNames(m *ingest.Summary) error {
	if len(m.Names) == 0 {
		return fmt.Errorf("model %d has no name", m.ID)
	}
	own := make(map[ingest.FileID]bool, len(m.Files))
	for _, f := range m.Files {
		own[f.ID] = true
	}
	for _, name := range m.Names {
		for _, f := range name.Files {
			if !own[f.ID] {
				return fmt.Errorf("model %d: name %q refers to file %d, which is not its own", m.ID, name.Name, f.ID)
			}
		}
	}
	return nil
}
