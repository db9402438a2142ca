package ingest

import (
	"context"
	"iter"
)

// Catalog is the whole of what the program asks of a database. Each verb below is a read, or one transaction that
// leaves nothing half done; those that remove rows are several, which can be cut short and repeated. Each may be called
// again after an error, whether or not the first call took effect: a commit whose answer was lost is an ordinary event.
type Catalog interface {
	Jobs
	Writer
	Reader
	Maintenance
	RowPayloads
	Migration
	Atoms
	// Identity names this database among all others, for as long as it exists.
	Identity(ctx context.Context) (string, error)
	Close() error
}

// Writer writes down what was stored. Every call names a lease, and the
// transaction that would change something under a lease that was lost fails
// with ErrLeaseLost and changes nothing.
type Writer interface {
	// Begin finds or makes the rows of a model: the model, its files, one layer a
	// tensor. It makes no row for a segment.
	//
	//   - An unfinished model with the same Key is continued: its Entry says how
	//     far each file got. One that another live job works on is a *BusyError.
	//   - Else a new model is made, in state ModelOpen.
	Begin(ctx context.Context, lease Lease, model *Model, plans []*Plan) (*Entry, error)

	// Record writes the rows of a batch of stored segments, and how far the file
	// has got with them. A segment that has a row already is left as it is, and
	// counted once. An atom that exists is referred to, not made again. With InRows, the
	// payloads commit together with their rows.
	Record(ctx context.Context, lease Lease, batch *Batch) error

	// Complete closes a model: every file must be recorded to its end, under a
	// digest equal to its claim; ErrIncomplete, wrapped, says what is missing. It makes the files' atoms.
	// If a complete model with the same weights (the same digests in the same order) exists already,
	// or into names one, then the new one's name and the files that the old one lacks move there,
	// the new one's other rows go, and the old one's ID is returned.
	Complete(ctx context.Context, lease Lease, model, into ModelID) (ModelID, error)

	// Abandon removes the rows of a model that is not complete. What was stored
	// for it stays in the store until gc.
	Abandon(ctx context.Context, lease Lease, model ModelID) error

	// Attach makes a complete model known by one more name, with files, each
	// of which is complete already in this or in another model and holds no tensors
	// (those that the model has already are not copied; weights of another model are refused). It is how a
	// manifest joins weights that are stored.
	Attach(ctx context.Context, lease Lease, model ModelID, name Alias, files []FileID) error

	// Register makes the rows of a model whose files stay where they are: the model, in state ModelRegistered, its
	// files and tensors, no segments, and for each file an atom that says where the file is. content is parallel to
	// the model's files. It returns the model that has the name then:
	//
	//   - A complete model that has all of the files gets the name, and nothing is registered.
	//   - Else a registered model with the same weights gets the name, and the files that it lacks.
	//   - Else a new model is made.
	//
	// The files of a registered model can change at any time. If the file at one of the paths has other content than
	// a registered model of the same name says, that model loses the name, and is removed with its last one. Complete
	// does the same, and takes over the names of registered models all of whose files are complete then.
	Register(ctx context.Context, lease Lease, model *Model, content []FileContent) (ModelID, error)
}

// FileContent is what is known of the content of a file that is registered.
type FileContent struct {
	Digest  Digest
	Trusted bool   // the digest is what the file's name claims; nothing was read
	Locator string // absolute path of the file, without links
}

// RowPayloads are the payloads that a catalogue keeps in its own rows: FILESTREAM, varbinary(max), a BLOB.
type RowPayloads interface {
	// ReadPayload fills into with the payload that the row of a segment holds, all of it. One that has
	// another size is a
	// *SizeError, and a row without one is ErrNoPayload, wrapped. It does not check the digest.
	ReadPayload(ctx context.Context, segment StoredSegment, into []byte) error
	// ReplacePayload puts a payload into the row of a segment, in place of a damaged one or of an address.
	// One that does not
	// have the segment's digest is refused.
	ReplacePayload(ctx context.Context, lease Lease, segment StoredSegment, payload []byte) error
	// HashPayload has the server hash the payload that the row of a segment holds, and moves none of it. A row without
	// one is ErrNoPayload, wrapped.
	HashPayload(ctx context.Context, segment StoredSegment) (Digest, error)
}

// Migration moves payloads between rows and a store. A row may have both its payload and an address: then every
// reader takes the payload from the row, and either of the two can be cleared.
//
// Each verb changes at most 1,000 rows, in one transaction, and each row only if it is still as the caller read it.
// moved is parallel to moves: true for the rows that changed.
type Migration interface {
	// AddAddresses gives rows that hold their payload, and have no address, one.
	AddAddresses(ctx context.Context, lease Lease, moves []Move) (moved []bool, err error)
	// AddPayloads puts payloads into rows that have an address and no payload. A payload that does not have its
	// segment's digest is an error.
	AddPayloads(ctx context.Context, lease Lease, moves []Move) (moved []bool, err error)
	// ClearPayloads empties rows that have the segment's address, and whose payload has the segment's digest. The
	// caller has read the payload at the address, and it has this digest.
	ClearPayloads(ctx context.Context, lease Lease, moves []Move) (moved []bool, err error)
	// ClearAddresses forgets the addresses of rows that have the segment's, and whose payload has the segment's
	// digest.
	ClearAddresses(ctx context.Context, lease Lease, moves []Move) (moved []bool, err error)
}

// Move is a payload on its way between a row and a store.
type Move struct {
	Segment StoredSegment // as it was read
	Address Address       // for AddAddresses
	Payload []byte        // for AddPayloads
}

// Reader reads what was recorded. Sequences end at the first error; breaking
// off early releases what they hold.
type Reader interface {
	// Models yields all models, whatever their state, by ID, without their metadata.
	Models(ctx context.Context) iter.Seq2[Summary, error]
	// Model returns one; ErrNotFound, wrapped, if there is none.
	Model(ctx context.Context, id ModelID) (Summary, error)
	// Layers yields a model's tensors by index.
	Layers(ctx context.Context, id ModelID) iter.Seq2[Layer, error]
	// Segments yields a file's recorded segments in file order, those that end after byte from; 0 is for all.
	Segments(ctx context.Context, file FileID, from int64) iter.Seq2[StoredSegment, error]
	// LastSegment returns the recorded segment that ends last in the file; ErrNotFound, wrapped, if there is none.
	LastSegment(ctx context.Context, file FileID) (StoredSegment, error)
	// Unchanged returns the complete file that was read from this path when it had this
	// size and modification time; ErrNotFound, wrapped, if there is none.
	Unchanged(ctx context.Context, path string, bytes int64, modified int64) (StoredFile, error)
	// Registered is Unchanged for a file of a registered model.
	Registered(ctx context.Context, path string, bytes int64, modified int64) (StoredFile, error)
	// ModelsNamed returns the models that go by a name, by ID. Like the two below, it leaves out those
	// that are being removed.
	ModelsNamed(ctx context.Context, name string) ([]ModelID, error)
	// ModelsWithDigest returns the models with a file, recorded to its end, whose digest begins so, by ID.
	ModelsWithDigest(ctx context.Context, prefix DigestPrefix) ([]ModelID, error)
	// FileWithDigest returns a file of a complete model with this digest; ErrNotFound, wrapped, if there is none.
	FileWithDigest(ctx context.Context, digest Digest) (StoredFile, error)
}

// Maintenance is what gc, verify, rm and rename ask beyond reading. Verbs that write name a lease, as
// those of Writer do.
type Maintenance interface {
	// Referenced returns, of at most 1,000 digests, those that a row needs from a store, with the names under which the
	// store has them by the rows, each once, in no order; "" is of rows that give no name.
	Referenced(ctx context.Context, digests []Digest) (map[Digest][]string, error)
	// Unreferenced counts the atoms of segments that no row refers to any longer and their bytes. With remove, it first
	// finishes the removals that were cut short, removes these atoms, and corrects the reference counts of
	// the others: another
	// program may have deleted models. It needs a lease to remove alone.
	Unreferenced(ctx context.Context, lease Lease, remove bool) (atoms, bytes int64, err error)
	// Relocate notes that the payload of a segment is now at address. If that has a name, all rows of this
	// digest that say that
	// theirs is there, by its URI, are given its ETag, size and time as well: they share the payload.
	Relocate(ctx context.Context, lease Lease, segment StoredSegment, address Address) error
	// Removal returns what Remove would do.
	Removal(ctx context.Context, model ModelID) (Removal, error)
	// Remove removes a model. It marks the model, in state ModelRemoving, in which nothing finds it by
	// name or content and
	// nothing is continued or merged into it; then it deletes the rows in bounded transactions. A call
	// that was cut short is
	// finished by the next one, or by Unreferenced. A model that is not there is success. One that a live
	// job works on is a
	// *BusyError. If rows of other programs refer to the model, the error is a *ForeignRowsError and
	// nothing changes, or, with
	// cascade, they are removed first.
	Remove(ctx context.Context, lease Lease, model ModelID, cascade bool) error
	// RemoveName takes a name from a model. One that it does not have is success; its only one stays.
	RemoveName(ctx context.Context, lease Lease, model ModelID, name string) error
	// Rename gives a name of a model another text. A name that the model does not have is ErrNotFound, wrapped.
	Rename(ctx context.Context, lease Lease, model ModelID, from, to string) error
}
