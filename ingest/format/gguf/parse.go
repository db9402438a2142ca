package gguf

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// Limits that are far above those of real files.
const (
	maxKeys      = 100_000
	maxTensors   = 10_000_000
	maxItems     = 1 << 30 // GGUF_MAX_ARRAY_ELEMENTS in ggml's src/gguf.cpp
	maxNesting   = 8
	maxDims      = 8          // ggml has 4, but files of video models have 5
	maxName      = windowSize // bytes; ggml has 63, but files of image models have 77
	maxKey       = 1<<16 - 1  // bytes; docs/gguf.md
	maxString    = 64 << 20   // bytes
	maxAlignment = 1 << 20    // bytes
	maxVersion   = 3
)

// Limits limits the resources for a header. The zero value has the defaults.
type Limits struct {
	// Name of the file, if known. It only serves an error that says that the file is a part of one
	// that was cut.
	Name string
	// Memory is the maximum memory of the parsed header in bytes, in addition to a window of 64
	// KiB. It includes the growth of slices. Zero or less means DefaultMemory, enough for 140,000
	// tensors.
	Memory int64
}

// DefaultMemory is the default of [Limits.Memory].
const DefaultMemory = 32 << 20

// Sniff reports whether a file with these first bytes has the magic of GGUF. It needs four bytes.
func Sniff(first []byte) bool {
	return len(first) >= len(Magic) && string(first[:len(Magic)]) == Magic
}

// Parse reads the header of a GGUF file of size bytes with the default [Limits]. See
// [Limits.Parse].
func Parse(src io.ReaderAt, size int64) (*File, error) { return Limits{}.Parse(src, size) }

// Parse reads the header of a GGUF file of size bytes. It may read up to 64 KiB after the header,
// but ignores them. The error is an [*Error]; it wraps errors of src.
func (l Limits) Parse(src io.ReaderAt, size int64) (*File, error) {
	r := &reader{src: src, size: size, file: l.Name, order: binary.LittleEndian, limit: l.Memory}
	if r.limit <= 0 {
		r.limit = DefaultMemory
	}
	if size < 0 || size > math.MaxInt64-maxAlignment {
		return nil, r.fail(0, "file size of %d bytes is out of range", size)
	}
	f := &File{Alignment: DefaultAlignment}
	if err := r.preamble(f); err != nil {
		return nil, err
	}
	tensors, keys, err := r.counts()
	if err != nil {
		return nil, err
	}
	if err := r.metadata(f, keys); err != nil {
		return nil, err
	}
	if err := r.tensors(f, tensors); err != nil {
		return nil, err
	}
	return f, nil
}

// preamble reads magic and version, and determines the byte order and the width of lengths.
func (r *reader) preamble(f *File) error {
	magic, err := r.next(int(min(r.size, int64(len(Magic)))), "the magic")
	if err != nil {
		return err
	}
	if !Sniff(magic) {
		what := cmp.Or(header.Content(r.window), fmt.Sprintf("starts with %q", magic))
		if n := len(magic); n > 0 && n < len(Magic) {
			what = fmt.Sprintf("has only %d bytes", n)
		}
		return r.fail(0, "not a GGUF file: it %s%s", what, r.cut())
	}
	version, err := r.uint32("the version")
	if err != nil {
		return err
	}
	// Versions are small, so a number whose lower half is 0 has the other byte order.
	if version != 0 && version&0xffff == 0 {
		version, f.BigEndian, r.order = bits.ReverseBytes32(version), true, binary.BigEndian
	}
	if version == 0 || version > maxVersion {
		return r.fail(r.pos-4, "GGUF version %d, only 1 to %d are supported", version, maxVersion)
	}
	f.Version, r.width = version, 8
	if version == 1 {
		r.width = 4
	}
	return nil
}

// counts reads the numbers of tensors and keys, and refuses those that do not fit into the file.
func (r *reader) counts() (tensors, keys uint64, err error) {
	// The minimum sizes are those of a tensor without name and dimensions, and of a key of one byte
	// with a value of one byte.
	w := uint64(r.width)
	minTensor, minKey := w+4+4+8, w+1+4+1
	at := r.pos
	if tensors, err = r.length("the number of tensors"); err != nil {
		return 0, 0, err
	}
	atKeys := r.pos
	if keys, err = r.length("the number of keys"); err != nil {
		return 0, 0, err
	}
	left := uint64(r.left())
	switch {
	case tensors > maxTensors:
		return 0, 0, r.fail(at, "%d tensors, want at most %d", tensors, maxTensors)
	case keys > maxKeys:
		return 0, 0, r.fail(atKeys, "%d keys, want at most %d", keys, maxKeys)
	case keys*minKey > left:
		return 0, 0, r.short(atKeys, "%d keys take at least %d bytes, but %d are left in the file", keys, keys*minKey,
			left)
	case tensors*minTensor > left-keys*minKey:
		return 0, 0, r.short(at, "%d keys and %d tensors take at least %d bytes, but %d are left in the file",
			keys, tensors, keys*minKey+tensors*minTensor, left)
	}
	return tensors, keys, nil
}
