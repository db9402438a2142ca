package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// known finds out which files of source are stored and have not changed since, by size
// and time, without reading them. If all of its weights are, then into is the model
// that they make, which gets source's name, and missing holds the files that it
// lacks. Else missing is the whole source.
func (r *run) known(ctx context.Context, source *Source) (into ModelID, missing Source, err error) {
	stored := make([]StoredFile, len(source.Files))
	for i, f := range source.Files {
		if stored[i], err = r.unchanged(ctx, f); err != nil {
			return 0, *source, err
		}
	}
	into, err = r.sameWeights(ctx, source, stored)
	if err != nil || into == 0 {
		return 0, *source, err
	}
	missing = Source{Name: source.Name, URI: source.URI}
	var have []FileID
	bytes := int64(0)
	for i, f := range stored {
		if f.ID == 0 || f.Tensors > 0 && f.Model != into {
			missing.Files = append(missing.Files, source.Files[i])
			continue
		}
		have = append(have, f.ID)
		bytes += f.Bytes
	}
	if source.Name != "" {
		if err := r.Catalog.Attach(ctx, r.lease, into, Naming{source.Name, source.URI}, have); err != nil {
			return 0, *source, err
		}
	}
	if err := r.recheck(ctx, stored); err != nil {
		return 0, *source, err
	}
	r.Progress.BytesRecorded.Add(bytes)
	r.Progress.BytesResumed.Add(bytes)
	if len(missing.Files) == 0 {
		r.skip(source.Files[0].Path, into)
	}
	return into, missing, nil
}

// unchanged returns the stored file that f still is, or one without an ID.
func (r *run) unchanged(ctx context.Context, f SourceFile) (StoredFile, error) {
	info, err := os.Stat(f.Path)
	if err != nil {
		return StoredFile{}, &SourceError{f.Path, -1, err}
	}
	stored, err := r.Catalog.Unchanged(ctx, f.Path, info.Size(), info.ModTime().UnixNano())
	if errors.Is(err, ErrNotFound) || err == nil && !f.Claim.IsZero() && f.Claim != stored.Digest {
		return StoredFile{}, nil
	}
	return stored, err
}

// sameWeights returns the model that has all the weights of source and no others; 0 if there is none.
func (r *run) sameWeights(ctx context.Context, source *Source, stored []StoredFile) (ModelID, error) {
	var into ModelID
	count := 0
	for i, f := range source.Files {
		if f.Role != Weights {
			continue
		}
		if stored[i].ID == 0 || count > 0 && stored[i].Model != into {
			return 0, nil
		}
		into = stored[i].Model
		count++
	}
	if count == 0 {
		return 0, nil
	}
	summary, err := r.Catalog.Model(ctx, into)
	if err != nil {
		return 0, err
	}
	for _, f := range summary.Files {
		if f.Role == Weights {
			count--
		}
	}
	if count != 0 {
		return 0, nil
	}
	return into, nil
}

func (r *run) skip(path string, into ModelID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Skipped = append(r.report.Skipped, Note{path, fmt.Errorf("stored already as model %d, and unchanged", into)})
}

// recheck reads the stored files' sources again, if the run is to, and compares each
// segment with what was recorded.
func (r *run) recheck(ctx context.Context, stored []StoredFile) error {
	if !r.Options.Recheck {
		return nil
	}
	for _, f := range stored {
		if f.ID == 0 {
			continue
		}
		parts, err := r.compare(ctx, f, f.Path)
		if err != nil {
			return err
		}
		if len(parts) > 0 {
			return &SourceError{f.Path, -1, &MismatchError{Want: f.Digest, Parts: parts}}
		}
	}
	return nil
}

// compare reads the file at path and names the pieces of stored from which it differs.
func (r *run) compare(ctx context.Context, stored StoredFile, path string) ([]string, error) {
	source, err := OpenSource(path)
	if err != nil {
		return nil, &SourceError{path, -1, err}
	}
	defer source.Close()
	l, err := r.Options.lender(stored.SegmentBytes)
	if err != nil {
		return nil, err
	}
	var parts differences
	read := func(_ context.Context, p Piece, buffer []byte) ([]byte, error) {
		n, err := source.ReadAt(buffer[:p.Bytes], p.Offset)
		r.Progress.BytesRead.Add(int64(n))
		return buffer[:n], atEnd(err)
	}
	err = eachPiece(ctx, r.Catalog.Pieces(ctx, stored.ID), l, read, func(f fetched) error {
		if r.stop.Err() != nil {
			return ErrInterrupted
		}
		if f.err != nil {
			return &SourceError{path, f.Offset, f.err}
		}
		if f.sum != f.Digest {
			parts.add(f.Piece)
		}
		return nil
	})
	return parts.list(), err
}

// differing says, of a file whose digest is not the one it claims, which parts are not
// those of content that the catalogue has under that digest. It returns nothing
// where there is none, or no telling.
func (r *run) differing(ctx context.Context, want Digest, model *Model) []string {
	var path string
	for i := range model.Files {
		if model.Files[i].Claim == want {
			path = model.Files[i].Path
		}
	}
	for summary, err := range r.Catalog.Models(ctx) {
		if err != nil {
			return nil
		}
		for _, f := range summary.Files {
			if f.Digest == want && summary.State == ModelComplete {
				parts, _ := r.compare(ctx, f, path) // the mismatch itself is reported in any case
				return parts
			}
		}
	}
	return nil
}

// differences names at most a few places, and counts the others.
type differences struct {
	named []string
	more  int
}

func (d *differences) add(p Piece) {
	if len(d.named) >= 5 {
		d.more++
		return
	}
	d.named = append(d.named, p.Place())
}

func (d *differences) list() []string {
	if d.more > 0 {
		return append(d.named, fmt.Sprintf("and %d more segments", d.more))
	}
	return d.named
}
