package gguf

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// windowSize is the maximum size of a read, in bytes. A key of the maximum length fits into it.
const windowSize = 64 << 10

// reader reads the header through a window. Skipped bytes are not read.
type reader struct {
	src   io.ReaderAt
	size  int64  // of the file
	file  string // its name, for messages
	pos   int64  // offset of the next byte, at most size
	order binary.ByteOrder
	width int // bytes of a length or count: 4 in version 1, else 8

	window []byte // bytes of the file from start on
	start  int64
	buf    []byte // backs window

	limit, used int64 // memory of the result, in bytes

	foreign [len(layouts)]bool // numbers that the file uses for other types than ggml

	// The current key or tensor, for messages.
	kind, name   string
	index, count uint64
}

// left returns the number of bytes up to the end of the file.
func (r *reader) left() int64 { return r.size - r.pos }

// next returns the next n bytes, which are valid until the following call. n is at most windowSize.
func (r *reader) next(n int, what string) ([]byte, error) {
	if int64(n) > r.left() {
		return nil, r.short(r.pos, "the file ends inside %s, which needs %d bytes: %d are left", what, n, r.left())
	}
	if n == 0 {
		return nil, nil
	}
	if r.pos+int64(n) > r.start+int64(len(r.window)) {
		if err := r.fill(n, what); err != nil {
			return nil, err
		}
	}
	from := int(r.pos - r.start)
	r.pos += int64(n)
	return r.window[from : from+n], nil
}

// fill moves the window to the current position. It ignores a read error after the bytes needed.
func (r *reader) fill(need int, what string) error {
	if r.buf == nil {
		r.buf = make([]byte, min(windowSize, r.size))
	}
	n, err := r.src.ReadAt(r.buf[:min(int64(len(r.buf)), r.left())], r.pos)
	r.window, r.start = r.buf[:n], r.pos
	if n >= need {
		return nil
	}
	e := r.fail(r.pos+int64(n), "cannot read %s", what)
	e.Err = err
	if err == nil || errors.Is(err, io.EOF) {
		e = r.fail(r.pos+int64(n), "the file shrank below its size of %d bytes while %s was read", r.size, what)
		e.Err = io.ErrUnexpectedEOF
	}
	return e
}

// skip skips n bytes. The caller has checked that they are left.
func (r *reader) skip(n int64) { r.pos += n }

func (r *reader) uint32(what string) (uint32, error) {
	b, err := r.next(4, what)
	if err != nil {
		return 0, err
	}
	return r.order.Uint32(b), nil
}

func (r *reader) uint64(what string) (uint64, error) {
	b, err := r.next(8, what)
	if err != nil {
		return 0, err
	}
	return r.order.Uint64(b), nil
}

// length reads a count or a length. In version 1 it has 32 bits.
func (r *reader) length(what string) (uint64, error) {
	if r.width == 8 {
		return r.uint64(what)
	}
	n, err := r.uint32(what)
	return uint64(n), err
}

// stringLength reads the length of a string, and checks that the string is inside the file.
func (r *reader) stringLength(what string, limit uint64) (int64, error) {
	at := r.pos
	n, err := r.length("a length")
	switch {
	case err != nil:
		return 0, err
	case n > limit:
		return 0, r.fail(at, "%s of %d bytes, want at most %d", what, n, limit)
	case int64(n) > r.left():
		return 0, r.short(at, "%s of %d bytes, but %d are left in the file", what, n, r.left())
	}
	return int64(n), nil
}

// text returns at most limit bytes of a string of n bytes, and skips the rest.
func (r *reader) text(n int64, limit int, what string) (string, error) {
	keep := min(n, int64(limit))
	if err := r.charge(keep + keep/8); err != nil { // an allocation is up to an eighth larger
		return "", err
	}
	b, err := r.next(int(keep), what)
	if err != nil {
		return "", err
	}
	r.skip(n - keep)
	return string(b), nil
}

// charge counts n bytes of memory. It is called before the allocation.
func (r *reader) charge(n int64) error {
	if n > r.limit-r.used {
		e := r.fail(r.pos, "the header needs more than the limit of %d bytes of memory", r.limit)
		e.Err = header.ErrMemory
		return e
	}
	r.used += n
	return nil
}
