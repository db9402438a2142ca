// Package gguf reads the header of a GGUF file: the metadata, and what each tensor is called, holds and
// where its bytes lie.
//
// A GGUF file is a magic, a version, two counts, that many key-value pairs, that many tensor infos, padding to the
// alignment, and the bytes of the tensors. [Parse] turns everything before the tensor bytes into a [File]:
//
//   - a [KV] for each pair. Its [Value] keeps numbers and short strings whole; of a long string or an array it keeps
//     the beginning, the true length and the offset, so that memory does not grow with the vocabulary.
//   - a [Tensor] for each info, with its extent in the file. The size comes from type and shape, never from where the
//     next tensor begins. A [Type] that this package does not know keeps its number, and the tensor has no known size.
//
// The file is taken for hostile. Every length is held against what is left of the file, and against a fixed cap,
// before a byte is allocated; nothing is allocated for a count that the file only claims; tensors lie inside the file
// and do not overlap. What breaks a rule is refused with an [*Error] that says where. Versions 1 to 3 are read, in
// either byte order.
//
// The package does not read, decode or check tensor data, does not open files, and does not know what any key means
// except general.alignment, on which the layout depends.
//
// The layout follows docs/gguf.md and src/gguf.cpp of github.com/ggml-org/ggml at commit d99724f2 (2026-08-21).
package gguf

import "encoding/binary"

// Magic is the first four bytes of every GGUF file, in either byte order.
const Magic = "GGUF"

// DefaultAlignment is the alignment, in bytes, of a file that has no general.alignment key.
const DefaultAlignment = 32

// File is the header of a GGUF file.
type File struct {
	// Version of the format: 1, 2 or 3.
	Version uint32
	// BigEndian tells that all numbers of the file, those in tensors too, have their highest byte first.
	BigEndian bool
	// Alignment of the tensor data, in bytes: a power of two, at most 1 MiB.
	Alignment int64
	// HeaderSize is the number of bytes up to the end of the last tensor info, without the padding that follows.
	HeaderSize int64
	// DataOffset is where tensor data begins: HeaderSize rounded up to Alignment. In a file without tensor data it
	// may lie past the end.
	DataOffset int64
	// Metadata in file order. Keys are unique and not empty, but may hold any bytes.
	Metadata []KV
	// Tensors in file order, which need not be the order of their data. Names are unique, shorter than 64 bytes, and
	// may hold any bytes; one may be empty.
	Tensors []Tensor
}

// ByteOrder returns the order in which the file's numbers are stored.
func (f *File) ByteOrder() binary.ByteOrder {
	if f.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Lookup returns the value of a key, and whether the file has the key. It looks through the keys one by one.
func (f *File) Lookup(key string) (Value, bool) {
	for i := range f.Metadata {
		if f.Metadata[i].Key == key {
			return f.Metadata[i].Value, true
		}
	}
	return Value{}, false
}

// String returns the text of a key, and false if there is no such key or it is not a string. Text of more than 4 KiB
// is cut short; [Value.Truncated] tells.
func (f *File) String(key string) (text string, ok bool) {
	v, found := f.Lookup(key)
	text, ok = v.Text()
	return text, ok && found
}

// Uint returns a key's number, and false if there is no such key or it is not an integer of zero or more.
func (f *File) Uint(key string) (n uint64, ok bool) {
	v, found := f.Lookup(key)
	n, ok = v.Uint()
	return n, ok && found
}

// Int returns a key's number, and false if there is no such key or it is not an integer that fits an int64.
func (f *File) Int(key string) (n int64, ok bool) {
	v, found := f.Lookup(key)
	n, ok = v.Int()
	return n, ok && found
}

// Float returns a key's number, and false if there is no such key or it is not a floating-point number.
func (f *File) Float(key string) (n float64, ok bool) {
	v, found := f.Lookup(key)
	n, ok = v.Float()
	return n, ok && found
}

// Bool returns a key's truth value, and false for ok if there is no such key or it is not a bool.
func (f *File) Bool(key string) (b, ok bool) {
	v, found := f.Lookup(key)
	b, ok = v.Bool()
	return b, ok && found
}
