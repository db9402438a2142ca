package gguf

import (
	"encoding/binary"
	"io"
	"math"
	"math/bits"
	"strings"
)

// Caps that real files stay far under. What is above one is refused.
const (
	maxKeys      = 100_000
	maxTensors   = 10_000_000
	maxItems     = 4_000_000
	maxNesting   = 8
	maxDims      = 4         // GGML_MAX_DIMS in ggml's include/ggml.h
	maxName      = 63        // bytes; GGML_MAX_NAME there is 64 with the closing 0
	maxKey       = 1<<16 - 1 // bytes; docs/gguf.md
	maxString    = 64 << 20  // bytes
	maxAlignment = 1 << 20   // bytes
	maxVersion   = 3
)

// Limits bounds what a header may cost. The zero value is right for files that are not known to be unusual.
type Limits struct {
	// Memory is the most that the parsed header may take, in bytes, on top of a window of 64 KiB. It counts keys,
	// values, names and tensors with the room that their slices need while they grow. Zero or less means 32 MiB,
	// enough for some 140,000 tensors.
	Memory int64
}

// DefaultMemory is the cap on a parsed header, in bytes, where [Limits] has none.
const DefaultMemory = 32 << 20

// Sniff reports whether a file that begins with these bytes says that it is a GGUF file. Four bytes are enough.
func Sniff(first []byte) bool {
	return len(first) >= len(Magic) && string(first[:len(Magic)]) == Magic
}

// Parse reads the header of the GGUF file of that many bytes, with the default [Limits]. See [Limits.Parse].
func Parse(src io.ReaderAt, size int64) (*File, error) { return Limits{}.Parse(src, size) }

// Parse reads the header of the GGUF file of that many bytes. It looks at nothing behind the header, though the last
// window that it reads may reach up to 64 KiB further. It can be stopped by an error from src. The error is always an
// [*Error].
func (l Limits) Parse(src io.ReaderAt, size int64) (*File, error) {
	r := &reader{src: src, size: size, order: binary.LittleEndian, limit: l.Memory}
	if r.limit <= 0 {
		r.limit = DefaultMemory
	}
	if size < 0 || size > math.MaxInt64-maxAlignment {
		return nil, r.fail(0, "file size of %d bytes is out of range", size)
	}
	f := &File{Alignment: DefaultAlignment}
	if err := r.opening(f); err != nil {
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

// opening reads magic and version, and settles the byte order and the width of lengths.
func (r *reader) opening(f *File) error {
	if r.size < int64(len(Magic)) {
		return r.fail(0, "not a GGUF file: it has only %d bytes", r.size)
	}
	magic, err := r.next(len(Magic), "the magic")
	if err != nil {
		return err
	}
	if !Sniff(magic) {
		return r.fail(0, "not a GGUF file: it begins with %q%s", magic, hint(r.window))
	}
	version, err := r.uint32("the version")
	if err != nil {
		return err
	}
	// Versions are small, so a number with nothing in its lower half was written in the other order.
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

// hint names what is often found under a .gguf name.
func hint(first []byte) string {
	begins := strings.ToLower(strings.TrimLeft(string(first[:min(64, len(first))]), "\ufeff \t\r\n"))
	for _, known := range [...][2]string{
		{"version https://git-lfs", ", a Git LFS pointer in place of the file"},
		{"<!doctype", ", a web page"},
		{"<html", ", a web page"},
		{"lmgg", ", the older format ggml"},
		{"fmgg", ", the older format ggmf"},
		{"tjgg", ", the older format ggjt"},
		{"fugg", ", a draft of the format"},
	} {
		if strings.HasPrefix(begins, known[0]) {
			return known[1]
		}
	}
	return ""
}

// counts reads the number of tensors and of keys, and refuses what the rest of the file could not hold.
func (r *reader) counts() (tensors, keys uint64, err error) {
	// The least that one takes: a tensor with neither name nor dimensions, and a key of one byte with a value of one.
	w := uint64(r.width)
	leastTensor, leastKey := w+4+4+8, w+1+4+1
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
		return 0, 0, r.fail(at, "%d tensors, at most %d are allowed", tensors, maxTensors)
	case keys > maxKeys:
		return 0, 0, r.fail(atKeys, "%d keys, at most %d are allowed", keys, maxKeys)
	case keys*leastKey > left:
		return 0, 0, r.fail(atKeys, "%d keys take at least %d bytes, but %d are left in the file", keys, keys*leastKey,
			left)
	case tensors*leastTensor > left-keys*leastKey:
		return 0, 0, r.fail(at, "%d keys and %d tensors take at least %d bytes, but %d are left in the file",
			keys, tensors, keys*leastKey+tensors*leastTensor, left)
	}
	return tensors, keys, nil
}
