package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/hartonomous/ingest/ingest/format/header"
)

const (
	lengthSize = 8           // bytes of the header's length
	minHeader  = 2           // bytes: {}
	maxHeader  = 100_000_000 // bytes; MAX_HEADER_SIZE in tensor.rs
	maxDims    = 64          // as in PyTorch and NumPy; the format has no limit
	maxKey     = 1<<16 - 1   // bytes of a metadata key or of a field
	maxNesting = 8           // of an ignored field
	maxDtype   = 64          // bytes
)

// Limits limits the resources for a header. The zero value has the defaults.
type Limits struct {
	// Memory is the maximum memory of the parsed header in bytes, in addition to a window of 64
	// KiB. It includes the growth of slices. Zero or less means DefaultMemory, enough for 100,000
	// tensors.
	Memory int64
}

// DefaultMemory is the default of [Limits.Memory].
const DefaultMemory = 32 << 20

// SniffBytes is the number of bytes that [Sniff] needs.
const SniffBytes = lengthSize + minHeader

// Sniff reports whether a file with these first bytes may be a safetensors file: the length of a
// header, and the start of a JSON object. It needs SniffBytes bytes.
func Sniff(first []byte) bool {
	if len(first) < SniffBytes {
		return false
	}
	n := binary.LittleEndian.Uint64(first)
	return n >= minHeader && n <= maxHeader && first[8] == '{' && strings.IndexByte("\"} \t\r\n", first[9]) >= 0
}

// Parse reads the header of a safetensors file of size bytes with the default [Limits]. See
// [Limits.Parse].
func Parse(src io.ReaderAt, size int64) (*File, error) { return Limits{}.Parse(src, size) }

// Parse reads the header of a safetensors file of size bytes, and nothing after it. The error is an
// [*Error]; it wraps errors of src.
func (l Limits) Parse(src io.ReaderAt, size int64) (*File, error) {
	r := &reader{src: src, size: size, limit: l.Memory, types: map[string]Dtype{}}
	if r.limit <= 0 {
		r.limit = DefaultMemory
	}
	if size < 0 {
		return nil, r.fail(0, "file size of %d bytes is out of range", size)
	}
	if err := r.preamble(); err != nil {
		return nil, err
	}
	f := &File{DataOffset: r.end}
	if err := r.header(f); err != nil {
		return nil, err
	}
	if err := r.checkNames(f); err != nil {
		return nil, err
	}
	if err := r.checkCover(f); err != nil {
		return nil, err
	}
	return f, nil
}

// notHeader returns the error of a file that starts with a wrong length of the header.
func (r *reader) notHeader(first []byte, length uint64, want string, limit int) error {
	what := fmt.Sprintf("starts with a header length of %d bytes, want %s %d", length, want, limit)
	return r.fail(0, "not a safetensors file: it %s", cmp.Or(header.Content(first), what))
}

// preamble reads the length of the header and moves to its first byte.
func (r *reader) preamble() error {
	r.end = min(r.size, header.ContentBytes+1)
	first, err := r.ahead(lengthSize + 1)
	if err != nil {
		return err
	}
	if len(first) < lengthSize+1 {
		return r.fail(0, "not a safetensors file: it %s",
			cmp.Or(header.Content(first), fmt.Sprintf("has only %d bytes", len(first))))
	}
	n := binary.LittleEndian.Uint64(first)
	switch {
	case n > maxHeader:
		return r.notHeader(first, n, "at most", maxHeader)
	case n < minHeader:
		return r.notHeader(first, n, "at least", minHeader)
	case first[lengthSize] != '{':
		return r.fail(lengthSize, "not a safetensors file: its header starts with %q, want {",
			first[lengthSize:lengthSize+1])
	case int64(n) > r.size-lengthSize:
		return r.fail(r.size, "the file is truncated: its header has %d bytes, but %d are left in the file", n,
			r.size-lengthSize)
	}
	r.pos, r.end = lengthSize, lengthSize+int64(n)
	r.window = nil // it may end in the header
	return nil
}
