package ingest

import (
	"encoding/json"
	"math"
	"time"
)

// Model is what parsing a Source yields: names, metadata, and its files with
// their tensors. It holds no payload.
type Model struct {
	Name         string
	URI          string          // as in Source
	Type         string          // "gguf", or "opaque" for a file of no known format
	Architecture string          // general.architecture; empty if not said
	Metadata     json.RawMessage // the file's own keys as a JSON object; large arrays shortened
	Details      Details
	Files        []File // the weights come first
	// StoreAddress is where the payloads go, as the run names it. Parsing leaves it empty.
	StoreAddress string
}

// Details are the facts of a Model that the catalogue has columns for (ModelMetadata).
// The zero value of each means that the file does not say.
type Details struct {
	ContextLength   int64 // tokens
	EmbeddingLength int64 // elements
	License         string
	SourceURL       string
}

// File is one file of a Model, parsed but not read.
type File struct {
	Path          string
	Role          Role
	Format        string    // "gguf" or "opaque"
	Bytes         int64     // size of the file when it was parsed
	Modified      time.Time // modification time when it was parsed
	Expected      Digest    // what its name or manifest promises; zero for none
	ExpectedBytes int64     // negative for none
	Tensors       []Tensor  // in the order of the file's own table
	Warnings      []string  // what a person should know and what did not stop us
}

// Tensor is one tensor of a File. Offset and Bytes lie within the file, and no
// two tensors of a file overlap: whoever makes a File has checked it.
type Tensor struct {
	Name  string
	Type  string   // ggml's name of the type: "F32", "Q4_K"; "type 99" for one that is unknown
	Shape []uint64 // dimensions in file order (the fastest first); empty for a scalar
	// Elements is the product of Shape; 1 for a scalar.
	Elements int64
	// Offset is the tensor's first byte, counted from the start of the file.
	Offset int64
	// Bytes is its size, from type and shape. 0 where the type is unknown: its
	// bytes are then kept with those that belong to no tensor.
	Bytes int64
	// BlockElements and BlockBytes are the quantization block of the type, which
	// a segment never cuts. Both are 0 where the type is unknown.
	BlockElements, BlockBytes int64
}

// Parameters returns the number of elements of all tensors of the model's weights, at most 2^63-1.
func (m *Model) Parameters() int64 {
	var n int64
	for i := range m.Files {
		if m.Files[i].Role != Weights {
			continue
		}
		for j := range m.Files[i].Tensors {
			n += min(m.Files[i].Tensors[j].Elements, math.MaxInt64-n) // tensors of unknown types may claim anything
		}
	}
	return n
}
