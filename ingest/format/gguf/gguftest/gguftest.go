// Package gguftest makes GGUF files for tests, samples and benchmarks.
//
// A [File] describes a file that is right, of any size: it can be written to a stream, read at any offset without being
// anywhere, or made sparse. [Model] describes one that looks like a language model. [Raw] builds headers field by
// field, for files that are wrong. The same description gives the same bytes every time.
//
// It is for tests: a description that cannot be written panics.
package gguftest

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/hartonomous/ingest/ingest/format/gguf"
)

// File describes a GGUF file.
type File struct {
	// Version is 1, 2 or 3; 0 means 3.
	Version uint32
	// BigEndian stores the header's numbers with their highest byte first.
	BigEndian bool
	// Alignment in bytes. If it is not 0, a key general.alignment follows KVs; 0 means 32 and no key.
	Alignment uint32
	// KVs in file order.
	KVs []KV
	// Tensors in file order. The data of each lies at the next multiple of the alignment.
	Tensors []Tensor
	// Order lists every index of Tensors in the order in which their data lies; nil means file order.
	Order []int
	// Seed chooses the data of tensors that have none of their own.
	Seed uint64
	// Unpadded leaves out the zeros that bring the end of the last tensor, or of the header of a file without tensor
	// data, up to the alignment.
	Unpadded bool
	// Trailing bytes follow everything else.
	Trailing []byte
}

// KV is a pair of the metadata. The value is a bool, a string, a number of a fixed size, an Array, or a slice of
// string, bool, uint8, int32, uint32 or float32.
type KV struct {
	Key   string
	Value any
}

// Array is an array value of any type, which Items must have. An item may be an Array.
type Array struct {
	Elem  gguf.ValueType
	Items []any
}

// Tensor describes a tensor and its data.
type Tensor struct {
	Name  string
	Type  gguf.Type
	Shape []uint64
	// Data of the tensor. If it is nil, the data is made from Seed, or is all zeros if Zero is true.
	Data []byte
	// Seed makes tensors that share it equal in their bytes, in whichever file; 0 means one of the file and the name.
	Seed uint64
	Zero bool
	// Bytes is the size of the data for a type that package gguf does not know.
	Bytes int64
	// Gap is the number of zeros before the data, beyond those of the alignment; it is rounded up to the alignment.
	Gap int64
}

// Size returns the bytes of the tensor's data.
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

// Header returns everything before the tensor data, padded to the alignment unless Unpadded is set and no data follows.
func (f File) Header() []byte {
	l := f.layout()
	return l.header
}

// Size returns the bytes of the whole file.
func (f File) Size() int64 { return f.layout().size }

// Bytes returns the whole file.
func (f File) Bytes() []byte {
	var b bytes.Buffer
	if _, err := f.WriteTo(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// WriteTo writes the file to w in pieces of at most 1 MiB. The error is that of w.
func (f File) WriteTo(w io.Writer) (int64, error) {
	r := f.ReaderAt()
	return io.CopyBuffer(onlyWriter{w}, io.NewSectionReader(r, 0, r.Size()), make([]byte, 1<<20))
}

// onlyWriter hides a writer's own way to copy, which would choose smaller pieces.
type onlyWriter struct{ io.Writer }

// Create writes the file to the named path, whole.
func (f File) Create(path string) error {
	w, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := f.WriteTo(w); err != nil {
		return fmt.Errorf("%w, and on closing: %v", err, w.Close())
	}
	return w.Close()
}

// CreateSparse writes the header to the named path and makes the file as long as it should be. The data of tensors is
// left out: it reads as zeros and takes no room on disks that can leave holes.
func (f File) CreateSparse(path string) error {
	l := f.layout()
	if err := os.WriteFile(path, l.header, 0o666); err != nil {
		return err
	}
	return os.Truncate(path, l.size)
}
