package safetensors

import (
	"errors"
	"io"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// windowSize is the maximum size of a read, in bytes.
const windowSize = 64 << 10

// reader reads the header through a window.
type reader struct {
	src  io.ReaderAt
	size int64 // of the file
	end  int64 // of the header, at most size
	pos  int64 // offset of the next byte, at most end

	window []byte // bytes of the file from start on
	start  int64
	buf    []byte // backs window

	limit, used int64 // memory of the result, in bytes

	text  []byte           // the last string
	shape [maxDims]uint64  // the last shape
	types map[string]Dtype // names of types, each kept once

	kind, name string // the current tensor or key, for messages
}

// ahead returns the next bytes: at least n, which is at most windowSize, or all that are left of
// the header.
func (r *reader) ahead(n int) ([]byte, error) {
	need := min(int64(n), r.end-r.pos)
	if r.start+int64(len(r.window))-r.pos < need {
		if err := r.fill(int(need)); err != nil {
			return nil, err
		}
	}
	return r.window[r.pos-r.start:], nil
}

// fill moves the window to the current position. It ignores a read error after the bytes needed.
func (r *reader) fill(need int) error {
	if r.buf == nil {
		r.buf = make([]byte, min(windowSize, r.size))
	}
	n, err := r.src.ReadAt(r.buf[:min(int64(len(r.buf)), r.end-r.pos)], r.pos)
	r.window, r.start = r.buf[:n], r.pos
	if n >= need {
		return nil
	}
	at := r.pos + int64(n)
	e := r.fail(at, "cannot read the header")
	e.Err = err
	if err == nil || errors.Is(err, io.EOF) {
		e = r.fail(at, "the file shrank below its size of %d bytes while the header was read", r.size)
		e.Err = io.ErrUnexpectedEOF
	}
	return e
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
