package reader

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
)

// wholeBytes is the maximum size of a read of a whole file, and storeBytes that in a store, where
// each read is a request.
const (
	wholeBytes = 4 << 20
	storeBytes = 64 << 20
)

// wholeBuffer takes a buffer from the pool. For a row, it also reserves the driver's copies.
func (r *Reader) wholeBuffer(ctx context.Context, lease *buffer.Lease, w *whole) ([]byte, error) {
	size := max(1, w.stored.Bytes)
	switch {
	case w.atom.InRow:
		most := min(size, wholeBytes, r.Pool.Limit()/(1+buffer.RowCopies))
		return lease.GetBeside(ctx, most, buffer.RowCopies*most)
	case w.file == nil:
		return lease.Get(ctx, min(size, storeBytes, r.Pool.Limit()/4))
	}
	return lease.Get(ctx, min(size, wholeBytes, r.Pool.Limit()))
}

// eachPart reads the bytes [from, to) in parts, and calls do with each.
func (r *Reader) eachPart(ctx context.Context, w *whole, from, to int64, do func(part []byte) error) error {
	lease := r.Pool.Lease()
	defer lease.Close()
	buffer, err := r.wholeBuffer(ctx, lease, w)
	for at := from; at < to && err == nil; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		part := buffer[:min(int64(len(buffer)), to-at)]
		n, readErr := w.ReadAt(part, at)
		if n < len(part) {
			if readErr == io.EOF {
				readErr = fmt.Errorf("the file ends here and had %d bytes: %w", w.stored.Bytes, ErrReplaced)
			}
			return w.at(at+int64(n), readErr)
		}
		err = do(part)
		at += int64(len(part))
	}
	return err
}

// sum reads the whole file, calls do with each part unless do is nil, and compares the SHA-256.
func (r *Reader) sum(ctx context.Context, w *whole, do func(part []byte) error) error {
	hash := sha256.New()
	err := r.eachPart(ctx, w, 0, w.stored.Bytes, func(part []byte) error {
		hash.Write(part)
		if do == nil {
			return nil
		}
		return do(part)
	})
	if err != nil {
		return err
	}
	got := ingest.Digest(hash.Sum(nil))
	switch {
	case got == w.stored.Digest:
		return nil
	case w.touched:
		return w.at(-1, fmt.Errorf("it has SHA-256 %s and had %s: %w", got, w.stored.Digest, ErrReplaced))
	case w.atom.Trusted():
		return w.at(-1, fmt.Errorf("it has SHA-256 %s, and its name claims %s (registered with --trust-names)",
			got, w.stored.Digest))
	}
	return w.at(-1, mismatch(got, w.stored.Digest))
}

// writeWhole is write for a file without segments. A part of a file cannot be checked against a
// digest. A file at a path must have the recorded size; if its time differs, the whole file is
// hashed first.
func (f *File) writeWhole(w io.Writer, from, to int64) (written int64, err error) {
	stored, atom, err := f.reader.locate(f.ctx, f.stored)
	if err != nil {
		return 0, err
	}
	if !stored.Whole {
		segments := f.reader.Open(f.ctx, stored)
		if from == 0 && to == stored.Bytes {
			return segments.WriteTo(w)
		}
		return segments.WriteRange(w, from, to)
	}
	whole, err := f.reader.openWhole(f.ctx, stored, atom)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, whole.close()) }()
	write := func(part []byte) error {
		n, err := w.Write(part)
		written += int64(n)
		f.reader.count(int64(n))
		return err
	}
	if from == 0 && to == stored.Bytes {
		err = f.reader.sum(f.ctx, whole, write)
		return written, err
	}
	if whole.touched {
		if err := f.reader.sum(f.ctx, whole, nil); err != nil {
			return 0, err
		}
	}
	err = f.reader.eachPart(f.ctx, whole, from, to, write)
	return written, err
}

// partWriter fills a slice.
type partWriter struct {
	into []byte
	n    int
}

func (p *partWriter) Write(part []byte) (int, error) {
	n := copy(p.into[p.n:], part)
	p.n += n
	return n, nil
}

// readWhole is ReadAt for a file without segments.
func (f *File) readWhole(p []byte, offset int64) (int, error) {
	into := &partWriter{into: p}
	to := min(offset+min(int64(len(p)), math.MaxInt64-offset), f.stored.Bytes)
	if offset >= to {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	_, err := f.writeWhole(into, offset, to)
	if err == nil && into.n < len(p) {
		err = io.EOF
	}
	return into.n, err
}
