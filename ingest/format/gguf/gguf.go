// Package gguf reads the header of a GGUF file: the metadata, and the name, type, shape and
// position of each tensor.
//
// A GGUF file consists of a magic, a version, two counts, key-value pairs, tensor infos, padding to
// the alignment, and the data of the tensors. [Parse] turns everything before the data into a
// [File]:
//
//   - a [KV] for each pair. Its [Value] keeps numbers and short strings. Of a long string or an
//     array it keeps the start, the length and the offset, so that memory does not grow with the
//     vocabulary.
//   - a [Tensor] for each info. Its size is computed from type and shape, never from the next
//     tensor's offset. An unknown [Type] keeps its number, and its tensors have no known size. So
//     does a number that forks of ggml use for other types, if ggml's size contradicts the offsets
//     or the end of the file.
//
// The file is not trusted. Every length is checked against the rest of the file and a fixed limit
// before memory is allocated; memory is not allocated for a count alone, nor for items of an array
// that are not kept; tensors are inside the file and do not overlap. An invalid file is refused
// with an [*Error]. Versions 1 to 3 are supported, in either byte order.
//
// The package does not read tensor data, does not open files, and interprets no key except
// general.alignment, on which the layout depends.
//
// The layout follows docs/gguf.md and src/gguf.cpp of github.com/ggml-org/ggml at commit d99724f2
// (2026-08-21).
package gguf

// Magic is the first four bytes of every GGUF file, in either byte order.
const Magic = "GGUF"

// DefaultAlignment is the alignment, in bytes, of a file that has no general.alignment key.
const DefaultAlignment = 32

// File is the header of a GGUF file.
type File struct {
	// Version of the format: 1, 2 or 3.
	Version uint32
	// BigEndian is the byte order of all numbers in the file, also in tensors.
	BigEndian bool
	// Alignment of the tensor data, in bytes: a power of two, at most 1 MiB.
	Alignment int64
	// HeaderSize is the number of bytes up to the end of the last tensor info, without padding.
	HeaderSize int64
	// DataOffset is the start of the tensor data: HeaderSize rounded up to Alignment. It can be
	// past the end of a file without tensor data.
	DataOffset int64
	// Metadata in file order. Keys are unique, not empty, and may contain any bytes.
	Metadata []KV
	// Tensors in file order, which need not be the order of their data. Names are unique, may
	// contain any bytes, and one may be empty.
	Tensors []Tensor
	// Warnings are findings that do not make the file invalid.
	Warnings []string
}

// Lookup returns the value of a key, and whether the file has the key. It searches linearly.
func (f *File) Lookup(key string) (Value, bool) {
	for i := range f.Metadata {
		if f.Metadata[i].Key == key {
			return f.Metadata[i].Value, true
		}
	}
	return Value{}, false
}

// String returns the text of a key. ok is false if the file does not have the key or it is not a
// string. Text of more than 4 KiB is truncated; see [Value.Truncated].
func (f *File) String(key string) (text string, ok bool) {
	v, found := f.Lookup(key)
	text, ok = v.Text()
	return text, ok && found
}

// Uint returns the number of a key. ok is false if the file does not have the key or it is not an
// integer of zero or more.
func (f *File) Uint(key string) (n uint64, ok bool) {
	v, found := f.Lookup(key)
	n, ok = v.Uint()
	return n, ok && found
}
