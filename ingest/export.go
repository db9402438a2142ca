package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest/durable"
	"github.com/hartonomous/ingest/ingest/sha256x2"
)

// Exporter writes stored files out again.
type Exporter struct {
	Catalog  Reader
	Payloads Payloads
	Options  Options
	Progress *Progress // may be nil; BytesRecorded counts bytes written
}

// Export writes file to path. It writes to a temporary name in the same folder, checks each segment and
// the whole against their SHA-256, makes it durable, and then gives it its
// name: path is never a part of a file. An existing path is an error unless
// overwrite is set.
func (e *Exporter) Export(ctx context.Context, file StoredFile, path string, overwrite bool) error {
	if file.Digest.IsZero() {
		return fmt.Errorf("file %s is not complete: take it in again, which goes on where it stopped", Printable(file.Name))
	}
	if _, err := os.Lstat(path); err == nil && !overwrite {
		return fmt.Errorf("%s exists: --force replaces it", Printable(path))
	}
	temporary, err := createPartial(path)
	if err != nil {
		return err
	}
	err = e.write(ctx, file, temporary)
	if err == nil {
		err = temporary.Sync()
	}
	err = errors.Join(err, temporary.Close())
	if err == nil {
		err = giveName(temporary.Name(), path, overwrite)
	}
	if err == nil {
		return durable.SyncFolder(filepath.Dir(path))
	}
	return fmt.Errorf("export %s: %w", Printable(path), errors.Join(err, os.Remove(temporary.Name())))
}

// giveName renames a whole file to its name, in place of whatever has it only if overwrite is set: hours may
// have passed since it was first looked for.
func giveName(from, to string, overwrite bool) error {
	if overwrite {
		return os.Rename(from, to)
	}
	if err := os.Link(from, to); err == nil {
		return os.Remove(from)
	}
	if _, err := os.Lstat(to); err == nil {
		return errors.New("it exists by now: --force replaces it")
	}
	return os.Rename(from, to) // a file system without links
}

// createPartial makes the file that is written first, beside path, with a name that says what it is
// where a kill has left it behind. Two exports never share one.
func createPartial(path string) (*os.File, error) {
	name := fmt.Sprintf("ingest-%d-%08x.partial", os.Getpid(), rand.Uint32())
	return os.OpenFile(filepath.Join(filepath.Dir(path), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

func (e *Exporter) write(ctx context.Context, file StoredFile, to *os.File) error {
	l, err := e.Options.lender(file.SegmentBytes, e.Payloads)
	if err != nil {
		return err
	}
	whole := sha256x2.New()
	at := int64(0)
	err = eachPiece(ctx, e.Catalog.Segments(ctx, file.ID), l, l.read, func(f fetched) error {
		f.hash(whole)
		if reason := f.damage(at); reason != nil {
			return fmt.Errorf("%s: %w; ingest verify lists all damage", f.Place(), reason)
		}
		at += f.Bytes
		if e.Progress != nil {
			e.Progress.BytesRecorded.Add(f.Bytes)
		}
		_, err := to.Write(f.payload)
		return err
	})
	if err != nil {
		return err
	}
	if at != file.Bytes {
		return fmt.Errorf("rows cover %d of its %d bytes: %w", at, file.Bytes, ErrIncomplete)
	}
	if got := Digest(whole.Sum()); got != file.Digest {
		return &MismatchError{Want: file.Digest, Got: got}
	}
	return nil
}

// damage says what is wrong with a piece that should begin at byte at; nil if nothing is.
func (f fetched) damage(at int64) error {
	switch {
	case f.Offset != at:
		return fmt.Errorf("no row for bytes %d to %d: %w", at, f.Offset, ErrIncomplete)
	case f.err != nil:
		return f.err
	case int64(len(f.payload)) != f.Bytes:
		return fmt.Errorf("payload is damaged: %d bytes instead of %d", len(f.payload), f.Bytes)
	case f.sum != f.Digest:
		return fmt.Errorf("payload is damaged: it has SHA-256 %s, and should have %s", f.sum, f.Digest)
	}
	return nil
}
