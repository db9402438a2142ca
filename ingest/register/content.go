package register

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/sha256x2"
	"github.com/hartonomous/ingest/ingest/source"
)

// content determines the digest of a file: from the catalogue if the file is unchanged, from its
// name if names are trusted, or by reading the file.
func (r *run) content(ctx context.Context, f *ingest.File, known knownFile) (c ingest.FileContent, err error) {
	c.Locator = source.Real(f.Path)
	switch {
	case known.ID != 0 && known.Bytes == f.Bytes && known.Modified.Equal(f.Modified):
		c.Digest, c.Trusted = known.Digest, known.trusted
	case r.TrustNames && !f.Expected.IsZero():
		c.Digest, c.Trusted = f.Expected, true
	default:
		c.Digest, err = r.read(ctx, f)
	}
	return c, err
}

// read computes the digest of a file. It refuses a file whose name claims another digest, and one
// that changes while it is read.
func (r *run) read(ctx context.Context, f *ingest.File) (digest ingest.Digest, err error) {
	r.Progress.Begin(f.Path)
	defer r.Progress.End(f.Path)
	file, err := source.Open(f.Path, f.Root)
	if err != nil {
		return digest, &ingest.SourceError{Path: f.Path, Offset: -1, Err: err}
	}
	defer file.Close() // it was only read
	if err := checkUnchanged(file, f); err != nil {
		return digest, err
	}
	if digest, err = r.hash(ctx, file, f); err != nil {
		return digest, err
	}
	if err := checkUnchanged(file, f); err != nil {
		return digest, err
	}
	if !f.Expected.IsZero() && digest != f.Expected {
		return digest, &ingest.SourceError{Path: f.Path, Offset: -1,
			Err: &ingest.MismatchError{Want: f.Expected, Got: digest}}
	}
	return digest, nil
}

func (r *run) hash(ctx context.Context, file io.ReaderAt, f *ingest.File) (digest ingest.Digest, err error) {
	sum := sha256x2.New()
	buffer := make([]byte, min(1<<20, max(1, f.Bytes)))
	for at := int64(0); at < f.Bytes; {
		if ctx.Err() != nil {
			return digest, context.Cause(ctx)
		}
		part := buffer[:min(int64(len(buffer)), f.Bytes-at)]
		n, err := file.ReadAt(part, at)
		at += int64(n)
		r.Progress.BytesRead.Add(int64(n))
		r.Progress.BytesRecorded.Add(int64(n))
		if n < len(part) {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("the file ends here and had %d bytes: %w", f.Bytes, ingest.ErrChanged)
			}
			return digest, &ingest.SourceError{Path: f.Path, Offset: at, Err: err}
		}
		sum.Write(part)
	}
	return ingest.Digest(sum.Sum()), nil
}

// checkUnchanged checks that the open file is the one that was parsed, and is still at its path.
func checkUnchanged(file *os.File, f *ingest.File) error {
	open, err := file.Stat()
	if err != nil {
		return &ingest.SourceError{Path: f.Path, Offset: -1, Err: err}
	}
	named, err := source.Stat(f.Path, f.Root)
	if err != nil {
		return &ingest.SourceError{Path: f.Path, Offset: -1, Err: fmt.Errorf("%w (%w)", ingest.ErrChanged, err)}
	}
	for _, info := range []fs.FileInfo{open, named} {
		if info.Size() != f.Bytes || !info.ModTime().Equal(f.Modified) || !os.SameFile(open, info) {
			return &ingest.SourceError{Path: f.Path, Offset: -1, Err: ingest.ErrChanged}
		}
	}
	return nil
}
