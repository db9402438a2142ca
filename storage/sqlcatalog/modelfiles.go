package sqlcatalog

import (
	"fmt"
	"slices"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// modelFile is a row of ModelFiles, with the state of its model.
type modelFile struct {
	ingest.StoredFile
	Segments, Stored, Shared int64 // rows, and bytes that were new or stored before
	Saved                    int64 // bytes
	State                    ingest.ModelState
}

// setColumns sets fields from columns of another form: a time in Unix nanoseconds, and digests that
// may be NULL. Call it after all other fields are set: while bytes are missing, the digest is not
// the file's.
func (f *modelFile) setColumns(modified int64, claim, digest []byte) {
	f.Modified = time.Unix(0, modified).UTC()
	copy(f.Expected[:], claim)
	f.Whole = f.State == ingest.ModelRegistered
	if f.State == ingest.ModelComplete || f.Whole || f.Recorded == f.Bytes {
		copy(f.Digest[:], digest)
	}
}

// checkWhole returns an error unless the file is completely recorded and its digest is the expected
// one. rows and bytes count the rows of its segments: another program may have deleted some.
func (f *modelFile) checkWhole(rows, bytes int64) error {
	switch {
	case f.Recorded != f.Bytes:
		return fmt.Errorf("%d of %d bytes are recorded: %w", f.Recorded, f.Bytes, ingest.ErrIncomplete)
	case rows != f.Segments || bytes != f.Bytes:
		return fmt.Errorf("it has %d rows of %d, with %d bytes of %d: %w", rows, f.Segments, bytes, f.Bytes,
			ingest.ErrIncomplete)
	}
	return f.checkClaim()
}

// checkClaim checks that the digest is known and is the one that the file claims.
func (f *modelFile) checkClaim() error {
	switch {
	case f.Digest.IsZero():
		return fmt.Errorf("its digest is not recorded: %w", ingest.ErrIncomplete)
	case !f.Expected.IsZero() && f.Expected != f.Digest:
		return fmt.Errorf("digest is %s, but its name or manifest says %s: %w", f.Digest, f.Expected,
			ingest.ErrIncomplete)
	}
	return nil
}

// checkSharable returns an error if another model may not get rows of its own for the file: weights
// identify a model, and tensors are rows of one model.
func (f *modelFile) checkSharable(model ingest.ModelID) error {
	if f.Role == ingest.Weights {
		return fmt.Errorf("file %d is weights of model %d: it cannot be shared with model %d", f.ID, f.Model, model)
	}
	if f.Tensors > 0 {
		return fmt.Errorf("file %d holds tensors: it cannot be shared with model %d", f.ID, model)
	}
	return nil
}

// modelFiles are files of one model, in their order.
type modelFiles []modelFile

// stored returns the files as the reader's type.
func (files modelFiles) stored() []ingest.StoredFile {
	list := make([]ingest.StoredFile, len(files))
	for i := range files {
		list[i] = files[i].StoredFile
	}
	return list
}

// addTo sets the files and the totals of a summary.
func (files modelFiles) addTo(s *ingest.Summary) {
	for i := range files {
		s.Tensors += files[i].Tensors
		s.Segments += files[i].Segments
		s.BytesStored += files[i].Stored
		s.BytesShared += files[i].Shared
		s.BytesSaved += files[i].Saved
	}
	s.Files = files.stored()
}

// same returns the file with the content and role of f; nil for none.
func (files modelFiles) same(f *modelFile) *modelFile {
	for i := range files {
		if files[i].Digest == f.Digest && files[i].Role == f.Role {
			return &files[i]
		}
	}
	return nil
}

// unused returns the file with the content and role of f that is not used, so that equal files have
// rows of their own; nil for none. Weights identify the model, and can be used twice.
func (files modelFiles) unused(f *modelFile, used map[ingest.FileID]bool) *modelFile {
	for i := range files {
		if files[i].Digest == f.Digest && files[i].Role == f.Role && !used[files[i].ID] {
			return &files[i]
		}
	}
	if f.Role == ingest.Weights {
		return files.same(f)
	}
	return nil
}

// have reports whether all of others are among the files, by content and role.
func (files modelFiles) have(others modelFiles) bool {
	return !slices.ContainsFunc(others, func(f modelFile) bool { return files.same(&f) == nil })
}

// of returns the files of a name.
func (files modelFiles) of(name ingest.Name) (chosen modelFiles) {
	for i := range files {
		if name.Has(files[i].ID) {
			chosen = append(chosen, files[i])
		}
	}
	return chosen
}

// trusted reports whether a file of a name was not read.
func (files modelFiles) trusted(name ingest.Name) bool {
	return slices.ContainsFunc(files.of(name), func(f modelFile) bool { return f.Trusted })
}

// weights returns the files that every name of the model covers.
func (files modelFiles) weights() (named []ingest.NamedFile) {
	for i := range files {
		if files[i].Role == ingest.Weights {
			named = append(named, ingest.NamedFile{ID: files[i].ID})
		}
	}
	return named
}

// checkWeights returns an error unless files, those of model, include all weights among others.
func (files modelFiles) checkWeights(model ingest.ModelID, others modelFiles) error {
	for i := range others {
		if others[i].Role == ingest.Weights && files.same(&others[i]) == nil {
			return fmt.Errorf("model %d does not have the weights of %s", model, others[i].Path)
		}
	}
	return nil
}
