package sqlcatalog

import (
	"fmt"
	"slices"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// modelFile is a row of modelFiles, with the state of its model.
type modelFile struct {
	ingest.StoredFile
	Segments, Stored, Shared int64 // rows, and bytes that were new or stored before
	State                    ingest.ModelState
}

// setColumns sets what a row holds in another form: a time in Unix nanoseconds, and
// digests that may be NULL. It comes after all other fields are set: the digest of a file
// of which bytes are missing is not that of a file.
func (f *modelFile) setColumns(modified int64, claim, digest []byte) {
	f.Modified = time.Unix(0, modified).UTC()
	copy(f.Expected[:], claim)
	f.Whole = f.State == ingest.ModelRegistered
	if f.State == ingest.ModelComplete || f.Whole || f.Recorded == f.Bytes {
		copy(f.Digest[:], digest)
	}
}

// checkWhole makes sure that the file is all recorded, and is what it claims to be. The
// rows of its segments are counted for it, as many as there are and the bytes that they
// are of: the notes that Record took are not enough, another program may have been at them.
func (f *modelFile) checkWhole(rows, bytes int64) error {
	switch {
	case f.Recorded != f.Bytes:
		return fmt.Errorf("%d of %d bytes are recorded: %w", f.Recorded, f.Bytes, ingest.ErrIncomplete)
	case rows != f.Segments || bytes != f.Bytes:
		return fmt.Errorf("%d rows of %d, with %d bytes of %d: %w", rows, f.Segments, bytes, f.Bytes,
			ingest.ErrIncomplete)
	}
	return f.checkClaim()
}

// checkClaim makes sure that the digest is known, and is the one that the file claims.
func (f *modelFile) checkClaim() error {
	switch {
	case f.Digest.IsZero():
		return fmt.Errorf("its digest is not recorded: %w", ingest.ErrIncomplete)
	case !f.Expected.IsZero() && f.Expected != f.Digest:
		return fmt.Errorf("its digest is %s, its name or manifest says %s: %w", f.Digest, f.Expected,
			ingest.ErrIncomplete)
	}
	return nil
}

// checkSharable makes sure that model, which is another one's, may get rows of its own for
// the file: weights make a model what it is, and tensors are rows of one model.
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

// stored are the files as the library knows them.
func (files modelFiles) stored() []ingest.StoredFile {
	list := make([]ingest.StoredFile, len(files))
	for i := range files {
		list[i] = files[i].StoredFile
	}
	return list
}

// addTo sets the files of a summary and adds up what they count.
func (files modelFiles) addTo(s *ingest.Summary) {
	for i := range files {
		s.Tensors += files[i].Tensors
		s.Segments += files[i].Segments
		s.BytesStored += files[i].Stored
		s.BytesShared += files[i].Shared
	}
	s.Files = files.stored()
}

// same finds the file with the content and role of f; nil for none.
func (files modelFiles) same(f *modelFile) *modelFile {
	for i := range files {
		if files[i].Digest == f.Digest && files[i].Role == f.Role {
			return &files[i]
		}
	}
	return nil
}

// have reports whether all of others are among the files, by content and role.
func (files modelFiles) have(others modelFiles) bool {
	return !slices.ContainsFunc(others, func(f modelFile) bool { return files.same(&f) == nil })
}

// withIDs are those of the files with these IDs.
func (files modelFiles) withIDs(ids []ingest.FileID) (chosen modelFiles) {
	for i := range files {
		if slices.Contains(ids, files[i].ID) {
			chosen = append(chosen, files[i])
		}
	}
	return chosen
}

// weights are the files that every name of the model goes with.
func (files modelFiles) weights() []ingest.FileID {
	var ids []ingest.FileID
	for i := range files {
		if files[i].Role == ingest.Weights {
			ids = append(ids, files[i].ID)
		}
	}
	return ids
}

// checkWeights makes sure that the files, those of model, have all weights that are among
// others: with more of them it would be another model.
func (files modelFiles) checkWeights(model ingest.ModelID, others modelFiles) error {
	for i := range others {
		if others[i].Role == ingest.Weights && files.same(&others[i]) == nil {
			return fmt.Errorf("model %d has not the weights of %s", model, others[i].Path)
		}
	}
	return nil
}
