package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/hartonomous/ingest/ingest/source"
)

// known finds out which files of source are stored and have not changed since, by size
// and time, without reading them. If all of its weights are, then into is the model
// that they make, and missing holds the files that it lacks; where it lacks none, it
// gets source's name. Else missing is the whole source.
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
	bytes := int64(0)
	for i, f := range stored {
		if f.ID == 0 || f.Tensors > 0 && f.Model != into {
			missing.Files = append(missing.Files, source.Files[i])
			continue
		}
		if !r.Options.Recheck {
			bytes += f.Bytes
		} else if err := r.recheck(ctx, f, source.Files[i]); err != nil {
			return 0, *source, err
		}
	}
	r.Progress.BytesRecorded.Add(bytes)
	r.Progress.BytesResumed.Add(bytes)
	if len(missing.Files) > 0 {
		return into, missing, nil
	}
	if err := r.attach(ctx, source, into); err != nil {
		return 0, *source, err
	}
	r.skip(source.Files[0].Path, into)
	return into, missing, nil
}

// attach makes into known by source's name, which means all of source's files from then
// on. They are stored.
func (r *run) attach(ctx context.Context, source *Source, into ModelID) error {
	if source.Name == "" {
		return nil
	}
	files := make([]FileID, len(source.Files))
	for i, f := range source.Files {
		stored, err := r.unchanged(ctx, f)
		if err != nil {
			return err
		}
		if stored.ID == 0 {
			return &SourceError{f.Path, -1, ErrChanged}
		}
		files[i] = stored.ID
	}
	return r.Catalog.Attach(ctx, r.lease, into, Alias{source.Name, source.URI}, files)
}

// unchanged returns the stored file that f still is, or one without an ID.
func (r *run) unchanged(ctx context.Context, f SourceFile) (StoredFile, error) {
	info, err := source.Stat(f.Path, f.Root)
	if err != nil {
		return StoredFile{}, &SourceError{f.Path, -1, err}
	}
	return r.storedAs(ctx, f, info)
}

// storedAs returns the stored file that f is if it has the size and time of info, or one without an ID.
func (r *run) storedAs(ctx context.Context, f SourceFile, info fs.FileInfo) (StoredFile, error) {
	stored, err := r.Catalog.Unchanged(ctx, f.Path, info.Size(), info.ModTime().UnixNano())
	if errors.Is(err, ErrNotFound) || err == nil && (stored.Role != f.Role || !f.Expected.IsZero() && f.Expected != stored.Digest) {
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

// recheck reads the file f again and compares each segment with what was recorded.
func (r *run) recheck(ctx context.Context, stored StoredFile, f SourceFile) error {
	file, err := source.Open(f.Path, f.Root)
	if err != nil {
		return &SourceError{f.Path, -1, err}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return &SourceError{f.Path, -1, err}
	}
	opened, err := r.storedAs(ctx, f, info)
	if err != nil {
		return err
	}
	if opened.ID != stored.ID {
		return &SourceError{f.Path, -1, ErrChanged}
	}
	parts, err := r.compare(ctx, stored, file, f.Path, &r.Progress.BytesRecorded)
	if err == nil && len(parts) > 0 {
		err = &SourceError{f.Path, -1, &MismatchError{Want: stored.Digest, Parts: parts}}
	}
	return err
}

// compare reads the file, which was found at path, and names the segments of stored from which it differs. It adds
// what it has compared to done, and takes one of the run's buffers, however large the segments are.
func (r *run) compare(ctx context.Context, stored StoredFile, file *os.File, path string, done *atomic.Int64) ([]string, error) {
	l := r.pool.loan()
	defer l.close()
	buffer, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	var parts differences
	at := int64(0)
	gone := func(to int64) error {
		return &SourceError{path, at, fmt.Errorf("rows of bytes %d to %d are missing, and the file cannot be exported: %w: "+
			"remove the model with `ingest rm %d`, and ingest the file again", at, to, ErrIncomplete, stored.Model)}
	}
	for piece, err := range r.Catalog.Segments(ctx, stored.ID) {
		if err != nil {
			return nil, err
		}
		if piece.Offset != at {
			return nil, gone(piece.Offset)
		}
		at += piece.Bytes
		if r.stop.Err() != nil {
			return nil, ErrInterrupted
		}
		sum := sha256.New()
		n, err := io.CopyBuffer(sum, io.NewSectionReader(file, piece.Offset, piece.Bytes), buffer)
		r.Progress.BytesRead.Add(n)
		if err != nil {
			return nil, &SourceError{path, piece.Offset + n, err}
		}
		done.Add(n)
		if Digest(sum.Sum(nil)) != piece.Digest {
			parts.add(piece)
		}
	}
	if at != stored.Bytes {
		return nil, gone(stored.Bytes)
	}
	return parts.list(), nil
}

// differing says, of a file whose digest is not the one it claims, which parts are not
// those of content that the catalogue has under that digest. It returns nothing
// where there is none, or no telling.
func (r *run) differing(ctx context.Context, want Digest, model *Model) []string {
	var file *os.File
	var path string
	for i := range model.Files {
		if f := &model.Files[i]; f.Expected == want && file == nil {
			path = f.Path
			if file, _ = source.Open(f.Path, f.Root); file != nil {
				defer file.Close()
			}
		}
	}
	if file == nil { // the mismatch itself is reported in any case
		return nil
	}
	for summary, err := range r.Catalog.Models(ctx) {
		if err != nil {
			return nil
		}
		for _, f := range summary.Files {
			if f.Digest == want && summary.State == ModelComplete {
				parts, _ := r.compare(ctx, f, file, path, new(atomic.Int64)) // as above
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

func (d *differences) add(p StoredSegment) {
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
