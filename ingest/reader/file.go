package reader

import (
	"context"
	"fmt"
	"io"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/sha256x2"
)

var _ io.WriterTo = (*File)(nil)

// File is an open stored file. Its methods are safe for concurrent use.
type File struct {
	ctx    context.Context // of Open: io.WriterTo does not take one
	reader *Reader
	stored ingest.StoredFile
}

// Open opens a file. A File need not be closed.
func (r *Reader) Open(ctx context.Context, file ingest.StoredFile) *File {
	return &File{ctx: ctx, reader: r, stored: file}
}

// WriteTo writes the whole file to w. It checks the SHA-256 of each segment before it writes it,
// and that of the file at the end: if it differs, the error is an *ingest.MismatchError.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	if f.stored.Digest.IsZero() {
		return 0, fmt.Errorf("file %s is not complete: %w", ingest.Printable(f.stored.Name), ingest.ErrIncomplete)
	}
	whole := sha256x2.New()
	n, err := f.write(w, 0, f.stored.Bytes, whole)
	if err == nil {
		if got := ingest.Digest(whole.Sum()); got != f.stored.Digest {
			err = &ingest.MismatchError{Want: f.stored.Digest, Got: got}
		}
	}
	return n, err
}

// WriteRange writes the bytes [from, to) to w. It checks the SHA-256 of each segment before it
// writes any of it.
func (f *File) WriteRange(w io.Writer, from, to int64) (int64, error) {
	if from < 0 || to < from || to > f.stored.Bytes {
		return 0, fmt.Errorf("bytes %d to %d of %s, which has %d: %w", from, to, ingest.Printable(f.stored.Name),
			f.stored.Bytes, io.EOF)
	}
	return f.write(w, from, to, nil)
}

func (f *File) write(w io.Writer, from, to int64, whole *sha256x2.Hash) (written int64, err error) {
	if from == to {
		return 0, nil
	}
	p, err := f.reader.pass(f.stored, from, to)
	if err != nil {
		return 0, err
	}
	at := from
	err = p.each(f.ctx, func(s fetched) error {
		// only the first may start earlier
		if s.Offset != at && (at != from || s.Offset > at || s.Offset+s.Bytes <= at) {
			return gap(at, s.Offset)
		}
		s.hash(whole)
		if reason := s.damage(); reason != nil {
			return fmt.Errorf("%s: %w; ingest verify lists all damage", s.Place(), reason)
		}
		part := s.payload[at-s.Offset : min(to-s.Offset, s.Bytes)]
		n, err := w.Write(part)
		written += int64(n)
		at += int64(len(part))
		f.reader.count(int64(len(part)))
		return err
	})
	if err == nil && at != to {
		err = fmt.Errorf("rows cover %d of its %d bytes: %w", at, f.stored.Bytes, ingest.ErrIncomplete)
	}
	return written, err
}
