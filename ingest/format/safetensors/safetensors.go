// Package safetensors reads the header of a safetensors file: the metadata, and the name, type,
// shape and position of each tensor.
//
// A safetensors file consists of the header's length, the header, which is a JSON object, and the
// data of the tensors. [Parse] turns the header into a [File]:
//
//   - a [KV] for each pair of __metadata__. Of a long text it keeps the start and the length, so
//     that memory does not grow with previews and training logs.
//   - a [Tensor] for each other key. Its position and size are those of the header, and the size
//     has been compared with type and shape. An unknown [Dtype] keeps its name.
//
// The file is not trusted. The header is read in a stream: memory is counted against a limit before
// it is allocated. The tensors cover everything after the header: there are no holes, no overlaps
// and no bytes after the last tensor, so a file that is truncated or has been appended to is
// refused, with an [*Error].
//
// The package does not read tensor data, does not open files, and does not interpret the metadata.
//
// The rules follow the section "Format" of README.md and safetensors/src/tensor.rs of
// github.com/huggingface/safetensors at commit 24b0b285 (2026-05-12). Where the two differ, the
// stricter one counts: the header starts with {, and keys are unique. As in tensor.rs, any JSON
// white space may follow the header, __metadata__ may be null, and fields of a tensor that the
// format does not have are ignored.
package safetensors

// File is the header of a safetensors file.
type File struct {
	// DataOffset is the start of the tensor data: the length of the header and its eight bytes.
	DataOffset int64
	// Metadata has the pairs of __metadata__ in file order. Keys are unique.
	Metadata []KV
	// Tensors in the order of the header, which need not be the order of their data. Names are
	// unique, valid UTF-8, of any length, and one may be empty.
	Tensors []Tensor
	// Ignored is the number of fields of tensors that the format does not have.
	Ignored int
}

// Tensor is one tensor of the file.
type Tensor struct {
	Name string
	// Dtype of the elements. It may be unknown.
	Dtype Dtype
	// Shape in file order, starting with the slowest dimension. It is empty for a scalar.
	Shape []uint64
	// Elements is the product of the shape: 1 for a scalar, 0 if a dimension is 0.
	Elements uint64
	// Offset of the data from the start of the file.
	Offset int64
	// Size of the data in bytes, from data_offsets. If the Dtype is known, it follows from the
	// shape, too.
	Size int64

	at, atOffsets uint32 // offsets of the name and of data_offsets; the header is below 2^32 bytes
}

// KV is a pair of __metadata__.
type KV struct {
	Key   string
	Value Value

	at uint32 // offset of the key
}

// Value is a text of the metadata.
type Value struct {
	// Text has the first 4 KiB of the text. It is valid UTF-8.
	Text string
	// Length of the text in bytes, without JSON's escapes.
	Length int64
}

// Truncated reports whether the text in the file is longer than Text.
func (v Value) Truncated() bool { return v.Length > int64(len(v.Text)) }

// Lookup returns the value of a metadata key, and whether the file has the key. It searches
// linearly.
func (f *File) Lookup(key string) (Value, bool) {
	for i := range f.Metadata {
		if f.Metadata[i].Key == key {
			return f.Metadata[i].Value, true
		}
	}
	return Value{}, false
}
