// Package describe writes descriptions of models into their store, and reads them, so that a catalogue
// can be rebuilt from a store alone. README.md has the format.
//
// A store has a sequence of files, which never change, with one frame for each thing to tell: a model, that a
// model has other names or files, or that it was removed. A Log is what they tell in total.
//
// A Keeper keeps them in step with the catalogue:
//
//   - A model is described, durably, before it becomes complete, so each complete model is. A crash can
//     leave a description of a model that is not complete.
//   - A merge and a change of names are described after they were made, and a removal before. gc describes
//     what a crash left out.
//
// Payloads in rows, and blobs named by their position, depend on the catalogue's numbers: models with
// such payloads have no description.
package describe

import (
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// Version is the version of the format that this package writes. It reads no other.
const Version = 1

// Head is the first line of a frame. If Removed is set, it has only Version and Model besides.
type Head struct {
	Version      int             `json:"description"`
	Model        ingest.Digest   `json:"model"`              // what Key returns
	Removed      bool            `json:"removed,omitempty"`  // earlier frames about the model do not count
	Replaces     bool            `json:"replaces,omitempty"` // as with Removed, but this one does
	Ingested     time.Time       `json:"ingested,omitzero"`  // models are rebuilt in this order
	Type         string          `json:"type,omitempty"`
	Architecture string          `json:"architecture,omitempty"`
	Parameters   int64           `json:"parameters,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
	Details      Details         `json:"details,omitzero"`
	Names        []Name          `json:"names,omitempty"` // oldest first
	Files        []File          `json:"files,omitempty"` // in the model's order
}

// Details are ingest.Details.
type Details struct {
	ContextLength   int64  `json:"context_length,omitempty"`
	EmbeddingLength int64  `json:"embedding_length,omitempty"`
	License         string `json:"license,omitempty"`
	SourceURL       string `json:"source_url,omitempty"`
}

// Name is a name of the model, and the files that belong to it.
type Name struct {
	Name  Text        `json:"name"`
	URI   Text        `json:"uri"`
	Files []NamedFile `json:"files"`
}

// Alias returns the name as the catalogue has it.
func (n Name) Alias() ingest.Alias { return ingest.Alias{Name: string(n.Name), URI: string(n.URI)} }

// NamedFile is a file under a name. Path is that of ingest.NamedFile.
type NamedFile struct {
	File int  `json:"file"` // index in Head.Files
	Path Text `json:"path,omitempty"`
}

// File is a file of the model.
type File struct {
	Path         Text          `json:"path"`
	Role         ingest.Role   `json:"role"`
	Format       string        `json:"format"`
	Bytes        int64         `json:"bytes"`
	Digest       ingest.Digest `json:"sha256"`
	Expected     ingest.Digest `json:"expected_sha256,omitzero"`
	Modified     time.Time     `json:"modified"`
	SegmentBytes int64         `json:"segment_bytes"` // maximum size of a segment
	Tensors      int           `json:"tensors"`
}

// Tensor is a tensor of a file, one line each, in the order of the files and of their own tables.
type Tensor struct {
	Name     Text     `json:"tensor"`
	Type     string   `json:"type"`
	Shape    []uint64 `json:"shape"`
	Elements int64    `json:"elements"`
	Offset   int64    `json:"offset"`
	Bytes    int64    `json:"bytes"`
}

// Segment is a segment of a file, one line each, in the order of the files and of their bytes.
type Segment struct {
	File    int           `json:"segment_of"` // index in Head.Files
	Tensor  int           `json:"tensor"`     // index in its file, or ingest.NoTensor
	Ordinal int           `json:"ordinal"`
	Offset  int64         `json:"offset"`
	Bytes   int64         `json:"bytes"`
	Digest  ingest.Digest `json:"sha256"`
	// Codec, Stored and StoredBytes are those of the payload when the description was written.
	Codec       string        `json:"codec,omitempty"`
	Stored      ingest.Digest `json:"stored_sha256,omitzero"`
	StoredBytes int64         `json:"stored_bytes,omitempty"`
	Payload     []byte        `json:"payload,omitempty"` // if it is not in the store, but in the catalogue
}

// End is the last line of a frame. One without it is incomplete.
type End struct {
	Tensors  int64 `json:"tensors"`
	Segments int64 `json:"segments"`
}

type endLine struct {
	End *End `json:"end"`
}

// Key identifies a model among those of a store: it is that of its weights, by which models are merged.
// That of a model without weights is over the digests of all of its files.
func Key(files []ingest.StoredFile) ingest.Digest {
	if key := ingest.ContentKey(files); !key.IsZero() {
		return key
	}
	h := sha256.New()
	h.Write([]byte("no weights"))
	for i := range files {
		h.Write(files[i].Digest[:])
	}
	return ingest.Digest(h.Sum(nil))
}

// state is what an update compares: the names and the files.
func (h *Head) state() (ingest.Digest, error) {
	text, err := json.Marshal(struct {
		Names []Name
		Files []File
	}{h.Names, h.Files})
	return ingest.Sum(text), err
}

// Stored returns the files of the head as rows of the catalogue, without their numbers.
func (h *Head) Stored() []ingest.StoredFile {
	files := make([]ingest.StoredFile, len(h.Files))
	for i, f := range h.Files {
		files[i] = ingest.StoredFile{Role: f.Role, Digest: f.Digest, Bytes: f.Bytes}
	}
	return files
}
