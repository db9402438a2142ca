package reader

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/hartonomous/ingest/ingest"
)

var (
	_ io.ReaderAt = (*File)(nil)
	_ io.WriterTo = (*File)(nil)
)

// File is an open stored file. Its methods are safe for concurrent use.
type File struct {
	ctx    context.Context // of Open: io.ReaderAt and io.WriterTo do not take one
	reader *Reader
	stored ingest.StoredFile

	mu      sync.Mutex
	segment ingest.StoredSegment // that ReadAt read last
	payload []byte               // of segment, checked
}

// Open opens a file. A File need not be closed. ReadAt keeps the segment that it read last, outside
// of the pool.
func (r *Reader) Open(ctx context.Context, file ingest.StoredFile) *File {
	return &File{ctx: ctx, reader: r, stored: file}
}

// Size returns the file's size in bytes.
func (f *File) Size() int64 { return f.stored.Bytes }

// WriteTo writes the whole file to w. It checks the SHA-256 of each segment before it writes it,
// and that of the file at the end: if it differs, the error is an *ingest.MismatchError.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	if f.stored.Digest.IsZero() {
		return 0, fmt.Errorf("file %s is not complete: run the same `ingest models` again to resume it",
			ingest.Printable(f.stored.Name))
	}
	if f.stored.Whole {
		return f.writeWhole(w, 0, f.stored.Bytes)
	}
	whole := sha256.New()
	n, err := f.write(w, 0, f.stored.Bytes, whole)
	if err == nil {
		if got := ingest.Digest(whole.Sum(nil)); got != f.stored.Digest {
			err = &ingest.MismatchError{Want: f.stored.Digest, Got: got}
		}
	}
	return n, err
}

// WriteRange writes the bytes [from, to) to w. It checks the SHA-256 of each segment before it
// writes any of it. It cannot check a part of a file that is stored whole.
func (f *File) WriteRange(w io.Writer, from, to int64) (int64, error) {
	if from < 0 || to < from || to > f.stored.Bytes {
		return 0, fmt.Errorf("bytes %d to %d of %s, which has %d: %w", from, to, ingest.Printable(f.stored.Name),
			f.stored.Bytes, io.EOF)
	}
	if f.stored.Whole {
		return f.writeWhole(w, from, to)
	}
	return f.write(w, from, to, nil)
}

func (f *File) write(w io.Writer, from, to int64, whole hash.Hash) (written int64, err error) {
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
		if reason := s.damage(); reason != nil {
			return fmt.Errorf("%s: %w; ingest verify lists all damage", s.Place(), reason)
		}
		if whole != nil {
			whole.Write(s.payload)
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

// ReadAt implements io.ReaderAt. It reads and checks the segments that contain the bytes, and keeps
// the last one, so that sequential reads read each segment once.
func (f *File) ReadAt(p []byte, offset int64) (n int, err error) {
	if offset < 0 {
		return 0, fmt.Errorf("read %s at byte %d", ingest.Printable(f.stored.Name), offset)
	}
	if f.stored.Whole {
		return f.readWhole(p, offset)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for n < len(p) {
		at := offset + int64(n)
		if at >= f.stored.Bytes {
			return n, io.EOF
		}
		if err := f.load(at); err != nil {
			return n, err
		}
		n += copy(p[n:], f.payload[at-f.segment.Offset:])
	}
	return n, nil
}

// load reads the segment with byte at, unless it is the one that was read last.
func (f *File) load(at int64) error {
	if f.payload != nil && f.segment.Offset <= at && at < f.segment.Offset+f.segment.Bytes {
		return nil
	}
	p, err := f.reader.pass(f.stored, at, at+1)
	if err != nil {
		return err
	}
	found := false
	err = p.each(f.ctx, func(s fetched) error {
		if s.Offset > at || s.Offset+s.Bytes <= at {
			return gap(at, s.Offset)
		}
		if reason := s.damage(); reason != nil {
			return fmt.Errorf("%s: %w", s.Place(), reason)
		}
		f.segment, f.payload, found = s.StoredSegment, append(f.payload[:0], s.payload...), true
		return nil
	})
	if err == nil && !found {
		err = gap(at, f.stored.Bytes)
	}
	if err != nil {
		f.payload = nil
	}
	return err
}
