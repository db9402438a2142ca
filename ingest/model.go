package ingest

import (
	"encoding/json"
	"errors"
	"math"
	"time"
)

// Model is a parsed Source: names, metadata, and its files with their tensors. It has no payloads.
type Model struct {
	Name         string
	URI          string          // as in Source
	Type         string          // "gguf", "safetensors", or "opaque" for a file of unknown format
	Architecture string          // general.architecture; empty if unknown
	Metadata     json.RawMessage // the file's own keys as a JSON object; large arrays are shortened
	Details      Details
	Files        []File // the weights come first
	// StoreAddress is the store of the payloads, as the run names it. Parsers leave it empty.
	StoreAddress string
}

// Details are the facts of a Model that have columns in the catalogue (ModelMetadata). A zero value
// means that the file does not have the fact.
type Details struct {
	ContextLength   int64 // tokens
	EmbeddingLength int64 // elements
	License         string
	SourceURL       string
}

// Warnings returns the warnings of all files.
func (m *Model) Warnings() (notes []Note) {
	for i := range m.Files {
		for _, text := range m.Files[i].Warnings {
			notes = append(notes, Note{Path: m.Files[i].Path, Reason: errors.New(text)})
		}
	}
	return notes
}

// File is one file of a Model. Only its header was read.
type File struct {
	Path          string
	Name          string // as in SourceFile
	Root          string // as in SourceFile
	Role          Role
	Format        string    // "gguf", "safetensors" or "opaque"
	Bytes         int64     // size of the file when it was parsed
	Modified      time.Time // modification time when it was parsed
	Expected      Digest    // from its name or manifest; zero if unknown
	ExpectedBytes int64     // negative if unknown
	Tensors       []Tensor  // in the order of the file's own table
	Warnings      []string  // findings that do not prevent ingestion
}

// Tensor is one tensor of a File. The parser has checked that it is within the file and that the
// tensors of a file do not overlap.
type Tensor struct {
	Name  string
	Type  string   // the name in the format: "F32", "Q4_K"; "type 99" for an unknown one of GGUF
	Shape []uint64 // dimensions in file order, in GGUF the fastest first; empty for a scalar
	// Elements is the product of Shape; 1 for a scalar.
	Elements int64
	// Offset is the tensor's first byte, counted from the start of the file.
	Offset int64
	// Bytes is the size according to type and shape. In a GGUF, data of an unknown type extends to the
	// next tensor or to the end of the file.
	Bytes int64
	// BlockElements and BlockBytes are the size of the type's quantization block. Segments hold
	// whole blocks. For an unknown type they are 0 and 1.
	BlockElements, BlockBytes int64
}

// Parameters returns the number of elements of all tensors in the model's weights, at most 2^63-1.
func (m *Model) Parameters() int64 {
	var n int64
	for i := range m.Files {
		if m.Files[i].Role != Weights {
			continue
		}
		for j := range m.Files[i].Tensors {
			n += min(m.Files[i].Tensors[j].Elements, math.MaxInt64-n) // the shape of an unknown type is not checked
		}
	}
	return n
}
