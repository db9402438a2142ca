package ingest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// ModelID is Models.ModelId, FileID is ModelFiles.ModelFileId and LayerID is
// ModelLayers.LayerId.
type (
	ModelID int64
	FileID  int64
	LayerID int64
)

// ModelState is how far a model got.
type ModelState string

// The states of a model. Rows that others wrote, which know no state, are complete.
const (
	ModelOpen     ModelState = "open"
	ModelComplete ModelState = "complete"
	// ModelRegistered is a model whose files are stored whole, where their atoms say: without segments.
	ModelRegistered ModelState = "registered"
	// ModelRemoving is a model whose rows are being removed: list, show, rm and gc alone know it.
	ModelRemoving ModelState = "removing"
)

// Entry is what Begin found or made.
type Entry struct {
	ID    ModelID
	Files []FileEntry // as many as the model has, in its order
}

// FileEntry is one file of an Entry.
type FileEntry struct {
	ID     FileID
	Layers []LayerID // one for each tensor, in the file's order
	// Recorded is how many bytes of the file have rows, from its start: where to go on.
	Recorded int64
	// HashState is the state of the file's SHA-256 after those bytes
	// (encoding.BinaryMarshaler of crypto/sha256); empty if Recorded is 0.
	HashState []byte
	// Digest is set once the file is recorded to its end.
	Digest Digest
}

// Batch is a run of one file's segments, one after the other in file order
// without a gap, all of them durable (or, with InRows, carrying their bytes).
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
	// InRows says that each segment carries its Payload, and that it goes into its row.
	InRows bool
	// Unshared is set where each row has a payload of its own, in itself or by its position: none is
	// shared, although its
	// content is known.
	Unshared bool
}

// Recorded is a segment on its way into the catalogue.
type NewSegment struct {
	Segment
	Layer   LayerID // 0 for NoTensor
	Type    string  // the tensor's type; empty for NoTensor
	Digest  Digest
	Address Address
	Payload []byte // with InRows only
}

// Piece is a recorded segment as it is read back.
type StoredSegment struct {
	RowID   int64 // LayerTensorSegmentId, or FileSegmentId where Layer is 0
	File    FileID
	Layer   LayerID // 0 for bytes that belong to no tensor
	Tensor  string  // the tensor's name; empty for bytes that belong to no tensor
	Ordinal int
	Offset  int64 // in the file
	Bytes   int64
	Digest  Digest
	Address Address
	InRow   bool // the payload lies in the row itself
}

// Naming is a name of a model and where it came from.
type Alias struct {
	Name string `json:"name"`
	URI  string `json:"uri"`
}

// Name is one of a model's names, and which of the model's files go by it.
type Name struct {
	Alias
	Files []FileID
}

// Summary is a model as `list` and `show` print it.
type Summary struct {
	ID           ModelID
	Name         string
	Names        []Name // all of its names, the first one first
	Type         string
	Architecture string
	Parameters   int64
	Metadata     json.RawMessage // only where a single model was asked for
	State        ModelState
	Job          int64 // the job that made it
	Ingested     time.Time
	Files        []StoredFile
	Tensors      int64
	Segments     int64 // rows, of tensors and of other bytes
	BytesStored  int64 // bytes of segments that this model was the first to bring
	BytesShared  int64 // bytes of segments that were stored before
}

// StoredFile is a file of a recorded model.
type StoredFile struct {
	ID       FileID
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
	// SegmentBytes is the segment size that the file was planned with; 0 if Whole is set.
	SegmentBytes int64
	// Atom is the file's row of Atoms; 0 until its model is complete.
	Atom int64
	// Whole says that the file has no segments: it is in a registered model, and the FileAtom says where its bytes are.
	Whole bool
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
	Offset   int64
	Bytes    int64
	Segments int64
}

// Key identifies an attempt to take in these very files: it is over each
// file's path, size, modification time, claim and plan. An unfinished model is
// continued only under the same key, so that a file that changed begins anew, and
// so that no file is continued with the bytes of another: fine-tunes are often equal in all but
// their content and their place. Another machine continues where it sees the files under the same paths.
// The address of the model's store belongs to it: a model with payloads in two stores could be read from neither.
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

// InStore reports whether the payload is in a store. One that is in no store is in its row, or should be.
func (s StoredSegment) InStore() bool { return !s.InRow && s.Address.URI != "" }

// Place says where a segment is in its file, in words for a person.
func (s StoredSegment) Place() string {
	if s.Layer == 0 {
		return fmt.Sprintf("bytes %d to %d (outside of tensors)", s.Offset, s.Offset+s.Bytes)
	}
	return fmt.Sprintf("tensor %s segment %d (bytes %d to %d)", Printable(s.Tensor), s.Ordinal, s.Offset,
		s.Offset+s.Bytes)
}
