package ingest

import (
	"context"
	"iter"
)

// Catalog is everything that the program needs from a database. A verb is a read or one
// transaction; Abandon, Remove and Unreferenced use several, and resume when they are called again.
// After an error, every verb may be called again, whether or not the first call took effect: the
// answer to a commit can be lost.
type Catalog interface {
	Jobs
	Writer
	Reader
	Maintenance
	RowPayloads
	Migration
	Atoms
	// Identity identifies this database among all others, for as long as it exists.
	Identity(ctx context.Context) (string, error)
	// Adopt changes the identity of a catalogue without models, so that it owns the stores of the
	// catalogue that had it. If there are models, the error is ErrNotEmpty, wrapped.
	Adopt(ctx context.Context, identity string) error
	Close() error
}

// Writer records what was stored. Every verb takes a lease. If the lease is lost, the transaction
// fails with ErrLeaseLost and changes nothing.
type Writer interface {
	// Begin finds or creates the rows of a model: the model, its files, and a layer for each
	// tensor. It creates no segment rows.
	//
	//   - An unfinished model with the same Key is resumed: the Entry has the recorded bytes of each
	//     file. If another live job works on the model, the error is a *BusyError.
	//   - Otherwise the model is new, in state ModelOpen.
	Begin(ctx context.Context, lease Lease, model *Model, plans []*Plan) (*Entry, error)

	// Record writes the rows of a batch of stored segments and the file's recorded bytes. A segment
	// that has a row is kept and not counted again. An existing atom is reused. With InRows, the
	// payloads commit together with their rows. Without it, a segment has an address or, if it is
	// small, a payload.
	Record(ctx context.Context, lease Lease, batch *Batch) error

	// SmallPayload returns the maximum size in bytes of a payload that should be given to Record and
	// not to a store, because that costs less; 0 for none. Segments with the same content share one.
	SmallPayload() int64

	// Complete closes a model and creates the atoms of its files. Every file must be recorded to
	// its end and have its expected digest; otherwise the error is ErrIncomplete, wrapped, with
	// what is missing. If a complete model has the same weights (the same digests in the same
	// order), or into names one, the new model is merged into that one: its name and the files that
	// the other lacks move there, its other rows are deleted, and the other's ID is returned.
	Complete(ctx context.Context, lease Lease, model, into ModelID) (ModelID, error)

	// Add records models whose files were read to their ends: Begin, Record and Complete of all of
	// them in one transaction, in this order. added is parallel to models. If an unfinished model has
	// the same Key as one of them, the error is ErrUnfinished, wrapped, and Begin continues that one.
	// After an error, nothing or everything may be recorded. Repeated, Add returns the models of the
	// first call, as merged; a model without weights is added once more. If SmallPayload is 0, the error
	// is errors.ErrUnsupported.
	Add(ctx context.Context, lease Lease, models []WholeModel) (added []Added, err error)

	// Abandon deletes the rows of a model that is not complete. Its payloads stay in the store
	// until gc. If rows of other programs refer to it, and their key is not set to NULL with it, the
	// error is a *ForeignRowsError, and nothing changes.
	Abandon(ctx context.Context, lease Lease, model ModelID) error

	// Attach gives a complete model one more name, with files. This is how a manifest is joined to
	// weights that are stored. Each file must be complete in this or another model; files that the
	// model lacks are copied, and files with tensors of another model are refused. Equal files under
	// several paths are files of their own.
	Attach(ctx context.Context, lease Lease, model ModelID, name Alias, files []NamedFile) error

	// Register creates the rows of a model whose files stay where they are: the model in state
	// ModelRegistered, its files and tensors, and for each file an atom with its path. There are no
	// segments. content is parallel to the model's files. Register returns the model that gets the
	// name:
	//
	//   - a complete model that has all of the files, if all were read; nothing is registered
	//   - otherwise a registered model with the same weights, which also gets the files that it lacks
	//   - otherwise a new model
	//
	// The files of a registered model can change at any time. If a file's content differs from that of
	// a registered model with the same path and name, that model loses the name, and is removed with
	// its last name. Complete does the same, and takes over the names of registered models whose files
	// are all complete. A file that was not read is complete if it was read from the same path.
	Register(ctx context.Context, lease Lease, model *Model, content []FileContent) (ModelID, error)
}

// FileContent describes the content of a file to register.
type FileContent struct {
	Digest  Digest
	Trusted bool   // the digest is claimed by the file's name, and the file was not read
	Locator string // absolute path of the file, with links resolved
}

// RowPayloads are the payloads that a catalogue keeps in its own rows: FILESTREAM, varbinary(max),
// a BLOB.
type RowPayloads interface {
	// ReadPayload reads the whole payload of a segment's row into into. If its size differs, the
	// error is a *SizeError; if the row has none, ErrNoPayload, wrapped. It does not check the
	// digest.
	ReadPayload(ctx context.Context, segment StoredSegment, into []byte) error
	// ReplacePayload writes a payload into a segment's row, in place of a damaged one or of an
	// address. It replaces a small payload for all segments that share it. It refuses a payload
	// without the segment's digest.
	ReplacePayload(ctx context.Context, lease Lease, segment StoredSegment, payload []byte) error
	// HashPayload has the database hash the payload of a segment's row without transferring it. If
	// the row has none, the error is ErrNoPayload, wrapped.
	HashPayload(ctx context.Context, segment StoredSegment) (Digest, error)
}

// Migration moves payloads between rows and a store. A row may have both its payload and an
// address. Then readers take the payload from the row, and either can be cleared.
//
// Each verb changes at most 1,000 rows, in one transaction, and a row only if it is still as the
// caller read it. moved is parallel to moves: true for the rows that changed.
type Migration interface {
	// AddAddresses sets the address of rows that have their payload and no address. A row of another
	// program that has no digest gets that of its segment, an atom, and the size, if its payload has
	// this digest and size.
	AddAddresses(ctx context.Context, lease Lease, moves []Move) (moved []bool, err error)
	// AddPayloads writes payloads into rows that have an address and no payload, and has the database
	// hash them before it commits. A payload without its segment's digest is an error.
	AddPayloads(ctx context.Context, lease Lease, moves []Move) (moved []bool, err error)
	// ClearPayloads empties rows that have the segment's address and a payload with the segment's
	// digest. The caller has read the payload at the address, and it has this digest.
	ClearPayloads(ctx context.Context, lease Lease, moves []Move) (moved []bool, err error)
	// ClearAddresses removes the address of rows that have the segment's address and a payload with
	// the segment's digest.
	ClearAddresses(ctx context.Context, lease Lease, moves []Move) (moved []bool, err error)
	// Unfreed describes the space that cleared payloads still take. If the database frees it in the
	// background, and the login may start that, Unfreed starts it, for at most a minute.
	Unfreed(ctx context.Context) Unfreed
}

// Unfreed describes space that the payloads of cleared rows still take.
type Unfreed struct {
	Why string // the space is not free
	// Do are the statements that an administrator executes to free it.
	Do []string
	// Collected has a result of the FILESTREAM garbage collector for each container. Refused is why it
	// did not run.
	Collected []Collected
	Refused   error
}

// Collected is the result of a pass of the FILESTREAM garbage collector over a container.
type Collected struct {
	Container string `json:"container"` // name of the container
	Deleted   int64  `json:"deleted"`   // files that the pass deleted
	Marked    int64  `json:"marked"`    // files that a later pass deletes
	// files that wait for a checkpoint, a log backup or the end of a transaction
	Unprocessed int64 `json:"unprocessed"`
}

// Move is a payload to move between a row and a store.
type Move struct {
	Segment StoredSegment // as it was read
	Address Address       // for AddAddresses
	Payload []byte        // for AddPayloads
}

// Reader reads what was recorded. A sequence ends at its first error, and releases its resources
// when the loop ends early.
type Reader interface {
	// Models yields the models in every state, by ID, without their metadata.
	Models(ctx context.Context) iter.Seq2[Summary, error]
	// Model returns a model; ErrNotFound, wrapped, if there is none.
	Model(ctx context.Context, id ModelID) (Summary, error)
	// Layers yields a model's tensors by index.
	Layers(ctx context.Context, id ModelID) iter.Seq2[Layer, error]
	// Segments yields the recorded segments of a file that end after byte from, in file order.
	Segments(ctx context.Context, file FileID, from int64) iter.Seq2[StoredSegment, error]
	// TensorSegments yields the segments of a model's tensors that belong to no file, by tensor.
	// Another program wrote them. Digest is zero if it recorded none; then Bytes is the size of the
	// payload in the row. Offset is 0.
	TensorSegments(ctx context.Context, model ModelID) iter.Seq2[StoredSegment, error]
	// LastSegment returns the last recorded segment in file order; ErrNotFound, wrapped, if there
	// is none.
	LastSegment(ctx context.Context, file FileID) (StoredSegment, error)
	// Unchanged returns the complete file that was read from path when it had this size and
	// modification time (in nanoseconds since 1970); ErrNotFound, wrapped, if there is none.
	Unchanged(ctx context.Context, path string, bytes int64, modified int64) (StoredFile, error)
	// Registered is Unchanged for a file of a registered model.
	Registered(ctx context.Context, path string, bytes int64, modified int64) (StoredFile, error)
	// ModelsNamed returns the models with a name, by ID. Like ModelsWithDigest and FileWithDigest,
	// it leaves out models in state ModelRemoving.
	ModelsNamed(ctx context.Context, name string) ([]ModelID, error)
	// ModelsWithDigest returns the models with a completely recorded file whose digest starts with
	// prefix, by ID.
	ModelsWithDigest(ctx context.Context, prefix DigestPrefix) ([]ModelID, error)
	// FileWithDigest returns a file of a complete model with this digest; ErrNotFound, wrapped, if
	// there is none.
	FileWithDigest(ctx context.Context, digest Digest) (StoredFile, error)
	// Addresses returns different addresses in stores at which rows have the payload of digest, in no
	// order. It looks at up to 16 rows of each table, so it may miss addresses.
	Addresses(ctx context.Context, digest Digest) ([]Address, error)
	// TypeBytes returns the sizes of a model's segments by element type and codec, in this order.
	// Small payloads and those in rows have no codec.
	TypeBytes(ctx context.Context, model ModelID) ([]TypeBytes, error)
	// TensorTypes returns the elements of tensors of the models from first to last, summed by model, file,
	// kind and type, in no order.
	TensorTypes(ctx context.Context, first, last ModelID) ([]TensorType, error)
}

// Maintenance is what gc, verify, rm and rename need in addition to Reader. Verbs that write take a
// lease, like those of Writer.
type Maintenance interface {
	// Referenced returns those of at most 1,000 digests that a row needs from a store. Each has the
	// names of its payloads in the store according to the rows, once each, in no order. A row without a
	// name has its URI instead, if that ends with the name of its payload in a store by content. "" stands
	// for other rows, and for rows of other programs that refer to the atom.
	Referenced(ctx context.Context, digests []Digest) (map[Digest][]string, error)
	// Unreferenced counts the atoms of segments that no row refers to, and their bytes. With
	// remove, it deletes these atoms and corrects the reference counts of the others, because
	// another program may have deleted models. Without remove, a catalogue may rely on the counts:
	// then it misses atoms whose rows another program deleted. Only remove needs a lease.
	Unreferenced(ctx context.Context, lease Lease, remove bool) (atoms, bytes int64, err error)
	// Relocate records that the payload of a segment is now at address, with its encoding. Its row must
	// have the address of segment; if it has a third one by now, the error is ErrMoved, wrapped, and
	// nothing changes. All rows with this digest and the URI of segment get the address, because they
	// share the payload.
	Relocate(ctx context.Context, lease Lease, segment StoredSegment, address Address) error
	// Removal returns what Remove would do.
	Removal(ctx context.Context, model ModelID) (Removal, error)
	// Remove deletes a model. It first sets the state ModelRemoving, in which lookups by name or
	// content do not find the model and nothing is resumed or merged into it. Then it deletes the
	// rows in bounded transactions. The next Remove finishes an interrupted one. A missing model is
	// not an error. If a live job works on the model, the error is a *BusyError. If rows of other
	// programs refer to it, the error is a *ForeignRowsError and nothing changes; with cascade,
	// Remove deletes those rows after it has set the state, unless they refer to each other. If the
	// model has the state already, rows whose key is set to NULL do not count.
	Remove(ctx context.Context, lease Lease, model ModelID, cascade bool) error
	// RemoveName removes a name of a model, unless it is the only one. A missing name is not an
	// error.
	RemoveName(ctx context.Context, lease Lease, model ModelID, name string) error
	// Rename changes a name of a model. If the model does not have it, the error is ErrNotFound,
	// wrapped.
	Rename(ctx context.Context, lease Lease, model ModelID, from, to string) error
}
