package register

import (
	"context"
	"errors"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/source"
)

// content determines the digest of a file: from the catalogue if the file is unchanged, from its
// name if names are trusted, or by reading the file.
func (r *run) content(ctx context.Context, model string, f *ingest.File, known knownFile) (c ingest.FileContent,
	err error) {
	c.Locator = source.Real(f.Path)
	if source.InStore(f.Path) {
		return c, &ingest.SourceError{Path: f.Path, Offset: -1,
			Err: errors.New("it is a payload in a store of ingest, which gc may delete")}
	}
	switch {
	case known.ID != 0 && known.Bytes == f.Bytes && known.Modified.Equal(f.Modified):
		c.Digest, c.Trusted = known.Digest, known.trusted
	case r.TrustNames && !f.Expected.IsZero():
		c.Digest, c.Trusted = f.Expected, true
	default:
		r.Progress.Begin(model)
		c.Digest, err = r.read(ctx, f)
		r.Progress.End(model)
	}
	return c, err
}

// read computes the digest of a file. It refuses a file whose name claims another digest, and one
// that changes while it is read.
func (r *run) read(ctx context.Context, f *ingest.File) (digest ingest.Digest, err error) {
	file, err := source.Open(f.Path, f.Root)
	if err != nil {
		return digest, &ingest.SourceError{Path: f.Path, Offset: -1, Err: err}
	}
	defer file.Close() // it was only read
	unchanged := func() error { return source.CheckUnchanged(file, f.Path, f.Root, f.Bytes, f.Modified) }
	if err := unchanged(); err != nil {
		return digest, err
	}
	digest, err = source.Hash(ctx, file, f.Path, f.Bytes, func(n int64) {
		r.Progress.BytesRead.Add(n)
		r.Progress.BytesRecorded.Add(n)
	})
	if err == nil {
		err = unchanged()
	}
	if err != nil {
		return digest, err
	}
	if !f.Expected.IsZero() && digest != f.Expected {
		return digest, &ingest.SourceError{Path: f.Path, Offset: -1,
			Err: &ingest.MismatchError{Want: f.Expected, Got: digest}}
	}
	return digest, nil
}
