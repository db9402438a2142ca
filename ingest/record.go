package ingest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// ModelID is Models.ModelId, FileID is ModelFiles.ModelFileId and LayerID is ModelLayers.LayerId.
type (
	ModelID int64
	FileID  int64
	LayerID int64
)

// ModelState is the state of a model.
type ModelState string

// The states of a model. Models of other programs have no state and are complete.
const (
	ModelOpen     ModelState = "open"
	ModelComplete ModelState = "complete"
	// ModelRegistered is a model without segments. Its files are whole, at the places in their atoms.
	ModelRegistered ModelState = "registered"
	// ModelRemoving is a model whose rows are being deleted. Only list, show, rm and gc handle it.
	ModelRemoving ModelState = "removing"
)

// Entry is a model that Begin found or created.
type Entry struct {
	ID    ModelID
	Files []FileEntry // in the model's order
}

// FileEntry is one file of an Entry.
type FileEntry struct {
	ID     FileID
	Layers []LayerID // one for each tensor, in the file's order
	// Recorded is the number of bytes from the file's start that have rows.
	Recorded int64
	// HashState is the state of the file's SHA-256 after Recorded bytes, as crypto/sha256 marshals
	// it; empty if Recorded is 0.
	HashState []byte
	// Digest is set once the file is recorded to its end.
	Digest Digest
}

// Batch is a run of segments of one file, in file order and without gaps. Their payloads are
// durable, or part of the batch: all with InRows, otherwise small ones.
type Batch struct {
	Model    ModelID
	File     FileID
	Segments []NewSegment
	// From and To are the bytes of the file that the batch covers.
	From, To int64
	// HashState is the state of the file's SHA-256 after byte To.
	HashState []byte
	// Digest is the SHA-256 of the whole file, set in its last batch.
	Digest Digest
	// InRows is set if each segment has a Payload that goes into its row.
	InRows bool
	// Unshared is set if each row has a payload of its own, in the row or by its position in the
	// store, even if the content is already present.
	Unshared bool
}

// WholeModel is a model to record in one piece.
type WholeModel struct {
	*Model
	Plans []*Plan // one for each file
	// Batches has one for each file, which covers it. Add sets their model, file and layers.
	Batches []*Batch
}

// Added is a model that Add recorded.
type Added struct {
	Model          ModelID
	Merged         bool  // its weights were already present: its name became one more of Model
	Stored, Shared int64 // bytes of segments whose content had no row before, and of the others
}

// NewSegment is a segment to record.
type NewSegment struct {
	Segment
	Layer   LayerID // 0 for NoTensor
	Type    string  // the tensor's type; empty for NoTensor
	Digest  Digest
	Address Address
	Payload []byte // with InRows, or if it is small, see Writer.SmallPayload; nil if Address is set
}

// StoredSegment is a recorded segment.
type StoredSegment struct {
	RowID   int64   // LayerTensorSegmentId, or FileSegmentId if Layer is 0
	File    FileID  // 0 for a tensor that belongs to no file
	Layer   LayerID // 0 for bytes outside all tensors
	Tensor  string  // the tensor's name; empty for bytes outside all tensors
	Ordinal int
	Offset  int64 // in the file
	Bytes   int64
	Digest  Digest // zero if another program wrote the row and recorded none
	Address Address
	InRow   bool // the payload is in the catalogue, usually in the row
	// Small is set with InRow if the payload is small, and is kept once for all segments with its
	// content; see Writer.SmallPayload. Migrations leave it where it is.
	Small bool
}

// Alias is a name of a model and its origin.
type Alias struct {
	Name string `json:"name"`
	URI  string `json:"uri"`
}

// Name is one of a model's names, and the files that belong to it.
type Name struct {
	Alias
	Files []NamedFile
}

// NamedFile is a file under a name of its model.
type NamedFile struct {
	ID FileID
	// Path is SourceFile.Name of the file that was ingested under the name. It is empty if it was not
	// recorded: for files of earlier versions, and weights that a later name of the model added.
	Path string
}

// Has reports whether a file belongs to the name.
func (n Name) Has(file FileID) bool {
	return slices.ContainsFunc(n.Files, func(f NamedFile) bool { return f.ID == file })
}

// FilesOf returns the files of a name. A model without names, which another program wrote, has all of
// its files in each.
func (s Summary) FilesOf(name Name) []StoredFile {
	if len(s.Names) == 0 {
		return s.Files
	}
	return slices.DeleteFunc(slices.Clone(s.Files), func(f StoredFile) bool { return !name.Has(f.ID) })
}

// PathOf returns the relative path of a file under a name.
func (s Summary) PathOf(name Name, file FileID) string {
	for _, f := range name.Files {
		if f.ID == file {
			return f.Path
		}
	}
	return ""
}

// Summary is a model as list and show print it.
type Summary struct {
	ID           ModelID
	Name         string
	Names        []Name // oldest first
	Type         string
	Architecture string
	Parameters   int64
	Metadata     json.RawMessage // from Reader.Model only, and so are Details
	Details      Details
	State        ModelState
	Job          int64 // that created it
	Ingested     time.Time
	Files        []StoredFile
	Tensors      int64
	Segments     int64 // of tensors and of bytes outside all tensors
	BytesStored  int64 // of segments whose content had no row before
	BytesShared  int64 // of segments whose content had a row
	// BytesSaved is how many bytes smaller than the segments their encoded payloads are, of all segments
	// whose address has a codec.
	BytesSaved int64
}

// AllNames returns the model's names, each once. The first is Name.
func (s Summary) AllNames() []string {
	names := []string{s.Name}
	for _, n := range s.Names {
		if !slices.Contains(names, n.Name) {
			names = append(names, n.Name)
		}
	}
	return names
}

// TypeBytes are the sizes of a model's segments of one element type and codec.
type TypeBytes struct {
	Type     string // of the elements; empty for bytes outside all tensors
	Codec    string // empty for payloads that are the bytes themselves
	Segments int64
	Bytes    int64 // in the file
	Stored   int64 // of the payloads: less than Bytes with a codec
}

// TensorType are the tensors of one file that have the same kind and type.
type TensorType struct {
	Model    ModelID
	File     FileID // 0 for tensors that belong to no file
	Kind     string // as in Layer
	Type     string
	Elements int64 // at most 2^63-1
}

// Parts returns the model's files. A model that another program wrote has none: the only part then
// has ID 0, and stands for the tensors, which belong to no file.
func (s Summary) Parts() []StoredFile {
	if len(s.Files) == 0 {
		return []StoredFile{{Model: s.ID}}
	}
	return s.Files
}

// StoredFile is a file of a recorded model.
type StoredFile struct {
	ID       FileID // 0 for tensors that belong to no file, see Summary.Parts
	Model    ModelID
	Index    int
	Role     Role
	Name     string // last element of Path
	Path     string
	Format   string
	Bytes    int64
	Modified time.Time
	Expected Digest
	Digest   Digest // zero until the file is complete, or registered
	Recorded int64  // bytes that have rows
	Tensors  int64
	// SegmentBytes is the maximum segment size of the file's plan; 0 if Whole is set.
	SegmentBytes int64
	// Atom is the file's row of Atoms; 0 until its model is complete.
	Atom int64
	// Whole reports whether the file belongs to a registered model: it has no segments, and its
	// FileAtom says where its bytes are.
	Whole bool
	// Trusted reports whether Digest is only claimed by the name of a registered file, which was not
	// read.
	Trusted bool
}

// Layer is a tensor of a recorded model.
type Layer struct {
	ID       LayerID
	File     FileID
	Index    int // in the model
	Name     string
	Kind     string // "Attention", "FeedForward", ...
	Type     string
	Shape    []uint64
	Elements int64
	Offset   int64 // in the file, in bytes
	Bytes    int64
	Segments int64
}

// Key identifies an ingestion of these files: it covers the store and each file's path, size,
// modification time, expected digest and plan. A run resumes an unfinished model only if the keys
// are equal. So a changed file starts over, and no file resumes with the bytes of another:
// fine-tunes often differ only in content and path. The store is part of it because a model with
// payloads in two stores could be read from neither. Another machine can resume if it sees the
// files under the same paths.
func (m *Model) Key(plans []*Plan) Digest {
	h := sha256.New()
	number := func(v int64) { _ = binary.Write(h, binary.LittleEndian, v) } // a hash does not fail
	number(int64(len(m.StoreAddress)))
	h.Write([]byte(m.StoreAddress))
	for i := range m.Files {
		f := &m.Files[i]
		number(int64(len(f.Path)))
		h.Write([]byte(f.Path))
		number(f.Modified.UnixNano())
		h.Write(f.Expected[:])
		plan := plans[i].Digest()
		h.Write(plan[:])
	}
	return Digest(h.Sum(nil))
}

// ContentKey identifies a complete model by its weights: the digest of its only weights file, or the
// digest over the digests of all of them, in order. It is zero for a model without weights, or if a
// digest is unknown.
func ContentKey(files []StoredFile) Digest {
	var last Digest
	h := sha256.New()
	weights := 0
	for i := range files {
		if files[i].Role != Weights {
			continue
		}
		if files[i].Digest.IsZero() {
			return Digest{}
		}
		weights++
		last = files[i].Digest
		h.Write(last[:])
	}
	if weights < 2 {
		return last
	}
	return Digest(h.Sum(nil))
}

// InStore reports whether the payload is in a store. Otherwise it is in its row, or should be.
func (s StoredSegment) InStore() bool { return !s.InRow && s.Address.URI != "" }

// Place describes where a segment is in its file, for messages.
func (s StoredSegment) Place() string {
	if s.Layer != 0 && s.File == 0 {
		return fmt.Sprintf("tensor %s segment %d (of layer %d)", Printable(s.Tensor), s.Ordinal, s.Layer)
	}
	if s.Layer == 0 {
		return fmt.Sprintf("bytes %d to %d (outside of tensors)", s.Offset, s.Offset+s.Bytes)
	}
	return fmt.Sprintf("tensor %s segment %d (bytes %d to %d)", Printable(s.Tensor), s.Ordinal, s.Offset,
		s.Offset+s.Bytes)
}
