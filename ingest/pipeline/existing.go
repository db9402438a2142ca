package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/ingest/source"
)

// findExisting finds the files of source that are already present and unchanged, judged by size and
// modification time. If all weights are, into is their model and missing are the files that it
// lacks. If it lacks none, it gets source's name. Otherwise missing is the whole source.
func (r *run) findExisting(ctx context.Context, source *ingest.Source) (into ingest.ModelID, missing ingest.Source,
	err error) {
	stored := make([]ingest.StoredFile, len(source.Files))
	for i, f := range source.Files {
		if stored[i], err = r.unchanged(ctx, f); err != nil {
			return 0, *source, err
		}
	}
	into, err = r.sameWeights(ctx, source, stored)
	if err != nil || into == 0 {
		return 0, *source, err
	}
	missing = ingest.Source{Name: source.Name, URI: source.URI}
	bytes, unread := int64(0), int64(0)
	for i, f := range stored {
		if f.ID == 0 || f.Tensors > 0 && f.Model != into {
			missing.Files = append(missing.Files, source.Files[i])
			continue
		}
		bytes += f.Bytes
		if !r.Options.Recheck {
			unread += f.Bytes
		} else if err := r.recheck(ctx, f, source.Files[i]); err != nil {
			return 0, *source, err
		}
	}
	r.Progress.BytesRecorded.Add(unread)
	r.Progress.BytesResumed.Add(unread)
	r.countPresent(bytes)
	if len(missing.Files) > 0 {
		return into, missing, nil
	}
	if err := r.attach(ctx, source, into); err != nil {
		return 0, *source, err
	}
	r.skip(source.Files[0].Path, into)
	return into, missing, nil
}

// attach gives model into the name of source, with all files of source. They are already present.
func (r *run) attach(ctx context.Context, source *ingest.Source, into ingest.ModelID) error {
	if source.Name == "" {
		return nil
	}
	files := make([]ingest.NamedFile, len(source.Files))
	for i, f := range source.Files {
		stored, err := r.unchanged(ctx, f)
		if err != nil {
			return err
		}
		if stored.ID == 0 {
			return &ingest.SourceError{Path: f.Path, Offset: -1, Err: ingest.ErrChanged}
		}
		files[i] = ingest.NamedFile{ID: stored.ID, Path: f.Name}
	}
	name := ingest.Alias{Name: source.Name, URI: source.URI}
	if err := r.Catalog.Attach(ctx, r.job, into, name, files); err != nil {
		return err
	}
	return r.describeAgain(ctx, into)
}

// unchanged returns the stored file of f if f has not changed since, otherwise one without an ID.
func (r *run) unchanged(ctx context.Context, f ingest.SourceFile) (ingest.StoredFile, error) {
	info, err := source.Stat(f.Path, f.Root)
	if err != nil {
		return ingest.StoredFile{}, &ingest.SourceError{Path: f.Path, Offset: -1, Err: err}
	}
	return r.storedAs(ctx, f, info)
}

// storedAs returns the stored file of f if it had the size and time of info, otherwise one without
// an ID.
func (r *run) storedAs(ctx context.Context, f ingest.SourceFile, info fs.FileInfo) (ingest.StoredFile, error) {
	stored, err := r.Catalog.Unchanged(ctx, f.Path, info.Size(), info.ModTime().UnixNano())
	if errors.Is(err, ingest.ErrNotFound) || err == nil && (stored.Role != f.Role || !f.Expected.IsZero() &&
		f.Expected != stored.Digest) {
		return ingest.StoredFile{}, nil
	}
	return stored, err
}

// sameWeights returns the model that has all the weights of source and no others; 0 if there is
// none.
func (r *run) sameWeights(ctx context.Context, source *ingest.Source, stored []ingest.StoredFile) (ingest.ModelID,
	error) {
	var into ingest.ModelID
	count := 0
	for i, f := range source.Files {
		if f.Role != ingest.Weights {
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
		if f.Role == ingest.Weights {
			count--
		}
	}
	if count != 0 {
		return 0, nil
	}
	return into, nil
}

func (r *run) skip(path string, into ingest.ModelID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Skipped = append(r.report.Skipped, ingest.Note{Path: path,
		Reason: fmt.Errorf("already present as model %d, unchanged", into)})
}

// recheck reads the file f again and compares each segment with its recorded digest.
func (r *run) recheck(ctx context.Context, stored ingest.StoredFile, f ingest.SourceFile) error {
	file, err := source.Open(f.Path, f.Root)
	if err != nil {
		return &ingest.SourceError{Path: f.Path, Offset: -1, Err: err}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return &ingest.SourceError{Path: f.Path, Offset: -1, Err: err}
	}
	opened, err := r.storedAs(ctx, f, info)
	if err != nil {
		return err
	}
	if opened.ID != stored.ID {
		return &ingest.SourceError{Path: f.Path, Offset: -1, Err: ingest.ErrChanged}
	}
	parts, err := r.compare(ctx, stored, file, f.Path, &r.Progress.BytesRecorded)
	if err == nil && len(parts) > 0 {
		err = &ingest.SourceError{Path: f.Path, Offset: -1, Err: &ingest.MismatchError{Want: stored.Digest,
			Parts: parts}}
	}
	return err
}

// compare compares the file at path with the segments of stored, and returns where they differ. It
// adds the bytes compared to done.
func (r *run) compare(ctx context.Context, stored ingest.StoredFile, file *os.File, path string,
	done *atomic.Int64) ([]string, error) {
	reading, cancel := context.WithCancelCause(r.stop)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	lease := r.Pool.Lease()
	defer lease.Close()
	buffer, err := lease.Get(ctx, r.Options.SegmentBytes)
	if err != nil {
		return nil, err
	}
	differing, err := reader.Compare(reading, r.Catalog, stored, path, file, buffer, func(n int64) {
		r.Progress.BytesRead.Add(n)
		done.Add(n)
	})
	if err != nil && r.stop.Err() != nil {
		return nil, ingest.ErrInterrupted
	}
	if errors.Is(err, ingest.ErrIncomplete) {
		return nil, fmt.Errorf("%w: the stored file cannot be exported: remove its model (ingest rm %d) and "+
			"ingest the file again", err, stored.Model)
	}
	return places(differing), err
}

// differing compares the file that should have digest want with a stored file that has it, and
// returns where they differ; nil if no such file is stored or they cannot be compared.
func (r *run) differing(ctx context.Context, want ingest.Digest, model *ingest.Model) []string {
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
	if file == nil { // the caller reports the mismatch itself, so errors here do not matter
		return nil
	}
	stored, err := r.Catalog.FileWithDigest(ctx, want)
	if err != nil {
		return nil
	}
	parts, _ := r.compare(ctx, stored, file, path, new(atomic.Int64))
	return parts
}

// places names up to five segments and counts the others.
func places(segments []ingest.StoredSegment) (names []string) {
	for i, s := range segments {
		if i == 5 {
			return append(names, fmt.Sprintf("and %d more", len(segments)-i))
		}
		names = append(names, s.Place())
	}
	return names
}
