package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/source"
)

// opened is the file of a row.
type opened struct {
	claim
	path     string
	file     *file
	size     int64
	modified time.Time
	// duplicate reports whether another atom has the content.
	duplicate bool
}

// open opens the file at the path of a row.
func (r *locatorRun) open(locator string) (*opened, error) {
	f, path, err := r.Paths.Open(locator)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &opened{path: path, file: &file{File: f, progress: r.Progress}, size: info.Size(),
		modified: info.ModTime()}, nil
}

// openToCopy opens the file of a row, and refuses one that cannot be copied before reading it.
func (r *locatorRun) openToCopy(atom ingest.FileAtom, target Target) (*opened, error) {
	claim, err := claimOf(atom)
	if err != nil {
		return nil, err
	}
	o, err := r.open(atom.Locator)
	if err != nil {
		return nil, err
	}
	o.claim = claim
	if target.Store == nil && r.Split == nil {
		if err := r.fits(o.size); err != nil {
			return nil, errors.Join(err, o.file.Close())
		}
	}
	return o, nil
}

// unchanged returns an error if the file has changed since it was opened.
func (o *opened) unchanged(p Paths) error {
	return source.CheckUnchanged(o.file.File, o.path, p.root(), o.size, o.modified)
}

// fits refuses a file that is too large for a row.
func (r *locatorRun) fits(size int64) error {
	const other = "; use --to dir:PATH or --to azblob://ACCOUNT/CONTAINER"
	most, streamed := r.Catalog.MaxAtomPayload()
	switch room := r.Pool.Limit() / (1 + buffer.RowCopies); {
	case most == 0:
		return errors.New("the table Atoms has no column Payload (`ingest schema apply --with filestream` adds it)" +
			other)
	case size > most:
		return fmt.Errorf("the file has %d bytes, and a row takes at most %d%s", size, most, other)
	case size > room && !streamed:
		return fmt.Errorf("the file has %d bytes, and within the memory limit a row takes at most %d: raise --memory%s",
			size, room, other)
	}
	return nil
}

// file records its own read errors, to tell them from errors of the store that reads it.
type file struct {
	*os.File
	progress *ingest.Progress
	read     int64 // bytes read from the start in this pass, and counted in progress
	err      error
}

// ReadAt implements io.ReaderAt for one goroutine at a time.
func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(p, offset)
	if err != nil && (err != io.EOF || n < len(p)) {
		f.err = fmt.Errorf("read %s at byte %d: %w", ingest.Printable(f.Name()), offset+int64(n), err)
	}
	before := f.read
	if offset == 0 { // a store may read the file again from its start
		f.read = 0
	}
	if offset == f.read {
		f.read += int64(n)
	}
	if f.progress != nil {
		f.progress.BytesRecorded.Add(f.read - before)
	}
	return n, err
}

// hash returns the digest of the whole file.
func (o *opened) hash(ctx context.Context) (ingest.Digest, error) {
	return source.Hash(ctx, o.file, o.path, o.size, func(int64) {}) // o.file counts the bytes
}
