// Package gguftest creates GGUF files for tests, samples and benchmarks.
//
// A [File] describes a valid file of any size. It can be written to a stream, read at any offset
// without being stored, or created as a sparse file. [Model] describes a file like that of a
// language model. [Raw] builds invalid headers field by field. The same description always gives
// the same bytes.
//
// The package is for tests: it panics if a description is impossible.
package gguftest

import (
	"bytes"
	"errors"
	"io"
	"os"

	"github.com/hartonomous/ingest/ingest/format/gguf"
)

// File describes a GGUF file.
type File struct {
	// Version is 1, 2 or 3; 0 means 3.
	Version uint32
	// BigEndian is the byte order of the header's numbers.
	BigEndian bool
	// Alignment in bytes. If it is not 0, a key general.alignment follows KVs; 0 means 32 without a
	// key.
	Alignment uint32
	// KVs in file order.
	KVs []KV
	// Tensors in file order. Their data starts at multiples of the alignment.
	Tensors []Tensor
	// Order has the indexes of Tensors in the order of their data; nil means file order.
	Order []int
	// Seed selects the data of tensors without data or seed.
	Seed uint64
	// Unpadded omits the padding after the last tensor, or after the header of a file without
	// tensor data.
	Unpadded bool
	// Trailing bytes follow everything else.
	Trailing []byte
}

// KV is a key-value pair of the metadata. The value is a bool, a string, a number of a fixed size,
// an Array, or a slice of string, bool, uint8, int32, uint32 or float32.
type KV struct {
	Key   string
	Value any
}

// Array is an array value. Its items have the type Elem.
type Array struct {
	Elem  gguf.ValueType
	Items []any
}

// Tensor describes a tensor and its data.
type Tensor struct {
	Name  string
	Type  gguf.Type
	Shape []uint64
	// Data of the tensor. If it is nil, the data depends on Seed, or is all zeros if Zero is true.
	Data []byte
	// Seed selects the data. Tensors with the same Seed have the same data, also in different
	// files; 0 means a seed that depends on the file and the name.
	Seed uint64
	Zero bool
	// Bytes is the size of the data if package gguf does not know the type.
	Bytes int64
	// Gap is the number of zeros before the data in addition to padding. It is rounded up to the
	// alignment.
	Gap int64
}

// Size returns the size of the tensor's data in bytes.
func (t Tensor) Size() int64 {
	if t.Data != nil {
		return int64(len(t.Data))
	}
	elements, size, ok := t.Type.Block()
	if !ok {
		return t.Bytes
	}
	n := int64(1)
	for _, dim := range t.Shape {
		n *= int64(dim)
	}
	return n / elements * size
}

// Header returns everything before the tensor data. It is padded unless Unpadded is set and no data
// follows.
func (f File) Header() []byte { return f.layout().header }

// Size returns the size of the file in bytes.
func (f File) Size() int64 { return f.layout().size }

// Bytes returns the whole file.
func (f File) Bytes() []byte {
	var b bytes.Buffer
	if _, err := f.WriteTo(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// WriteTo writes the file to w in writes of at most 1 MiB. The error is that of w.
func (f File) WriteTo(w io.Writer) (int64, error) {
	r := f.ReaderAt()
	return io.CopyBuffer(onlyWriter{w}, io.NewSectionReader(r, 0, r.Size()), make([]byte, 1<<20))
}

// onlyWriter hides ReadFrom, which uses smaller writes.
type onlyWriter struct{ io.Writer }

// Create writes the file to path.
func (f File) Create(path string) error {
	w, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := f.WriteTo(w); err != nil {
		return errors.Join(err, w.Close())
	}
	return w.Close()
}

// CreateSparse writes the header to path and extends the file to its size. All tensors read as
// zeros and take no space on file systems with sparse files.
func (f File) CreateSparse(path string) error {
	l := f.layout()
	if err := os.WriteFile(path, l.header, 0o666); err != nil {
		return err
	}
	return os.Truncate(path, l.size)
}
