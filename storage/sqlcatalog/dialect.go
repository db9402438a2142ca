package sqlcatalog

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io"

	"github.com/hartonomous/ingest/ingest"
)

// Dialect is what differs between two engines.
type Dialect interface {
	Sessions
	Encoding
	Rows
	// Texts are the statements that differ between engines, by name. An empty text means that there
	// is nothing to do: Exec does nothing, and Change returns 1.
	Texts() map[string]string
	// Word returns the text for a word, see Render, or false if the engine does not know the word.
	Word(name string, args Args) (text string, known bool)
	// Findings are the engine's own findings for Audit.
	Findings() []Finding
	// Finish adapts a rendered statement to the engine.
	Finish(name, text string) string
}

// Sessions connects and runs transactions. It retries transient errors and explains the others.
type Sessions interface {
	// Read runs do on one connection. A long one may take hours.
	Read(ctx context.Context, long bool, do func(*Tx) error) error
	// Write runs do in a transaction and commits if do returns nil; otherwise it rolls back. It may
	// run do again, even after a commit whose answer was lost.
	Write(ctx context.Context, long bool, do func(*Tx) error) error
	// Change executes a statement and returns how many rows it changed, not counting those that
	// triggers change.
	Change(t *Tx, text string, args []any) (int64, error)
	// Insert executes a statement that inserts one row, and returns its number.
	Insert(t *Tx, text string, args []any) (int64, error)
	// Refused reports whether a foreign key refused a change, and Duplicate whether a unique key did.
	Refused(err error) bool
	Duplicate(err error) bool
}

// Encoding says how columns hold values that are neither numbers nor bytes.
type Encoding interface {
	// Bind returns the parameters for an argument of type Text, Key or ingest.Address, or another
	// type that the driver does not take. Their names begin with name. It returns none for other
	// arguments.
	Bind(name string, argument any) []sql.NamedArg
	// Field returns the scan targets for a TextInto, a JSONInto, a *time.Time or an
	// *ingest.Address, and nil for what is scanned as it is.
	Field(into any) *Field
}

// Field is a value that is scanned from one or more columns.
type Field struct {
	Columns []any
	Set     func() error // runs after the scan; may be nil
}

// Rows reads and writes many rows, or large ones.
type Rows interface {
	// AddLayers inserts a row for each tensor of the model, numbered over all its files, and sets
	// the layers of entry.
	AddLayers(t *Tx, entry *ingest.Entry, model *ingest.Model) error
	// Record writes a batch in one transaction. It calls r.Look before the rows and r.Note after
	// them.
	Record(ctx context.Context, r *Recording) error
	// RecordIn inserts the rows of a batch of a new file. A dialect without small payloads does not
	// need it.
	RecordIn(t *Tx, r *Recording) (Added, error)
	// ReadPayload fills into with the payload in the row of a segment and returns the payload's
	// size. It copies nothing if that is not len(into). The size is 0 if the row holds no payload,
	// and NoRow if there is no row.
	ReadPayload(ctx context.Context, s ingest.StoredSegment, into []byte) (bytes int64, err error)
	// ReadAtom fills into with the bytes of an atom's payload from offset on, and returns the
	// payload's size. It copies nothing if that is less than offset+len(into). The size is NoPayload
	// if the row holds none, and NoRow if there is no row.
	ReadAtom(ctx context.Context, atom ingest.FileAtom, offset int64, into []byte) (bytes int64, err error)
	// MaxAtomPayload is that of ingest.Atoms.
	MaxAtomPayload() (bytes int64, streamed bool)
	// FillFile writes the payload of an atom into its row through a file handle, in one transaction.
	// It returns false and does nothing if the engine takes payloads as parameters.
	FillFile(ctx context.Context, fill FileFill) (bool, error)
	// Replace writes a payload through a file handle into the row of a segment, or replaces a small
	// payload, in one transaction under the lease. It returns false and does nothing if the payload is
	// a parameter of an update of the row.
	Replace(ctx context.Context, lease ingest.Lease, s ingest.StoredSegment, payload []byte) (bool, error)
	// SmallPayload is that of ingest.Writer.
	SmallPayload() int64
}

// FileFill has the steps of a transaction that writes the payload of an atom as a file.
type FileFill struct {
	// Begin returns the ID of an atom whose payload is empty and is to be filled, or 0 for none.
	Begin func(*Tx) (atom int64, err error)
	// Payload returns a new reader for each attempt. It is read to its end before Finish.
	Payload func() io.Reader
	Finish  func(*Tx) error
}

// Text is an argument for a text column, which may be too short in a table that another program
// made.
type Text struct {
	Column string // such as "Models.ModelName"
	Value  string
	Null   bool // an empty text is stored as NULL
	Whole  bool // a truncated text would be wrong: if it does not fit, the column is NULL
}

// Key is an argument that finds rows by these texts, byte for byte.
type Key []string

// Hash is the SHA-256 that finds texts byte for byte under any collation.
func Hash(texts ...string) []byte {
	h := sha256.New()
	for i, text := range texts {
		if i > 0 {
			fmt.Fprintf(h, "%d ", len(texts[i-1])) // so that different lists are different input
		}
		h.Write([]byte(text))
	}
	return h.Sum(nil)
}

// TextInto is a scan target for a text selected by {read}.
type TextInto struct{ Into *string }

// JSONInto is a scan target for JSON selected by {readjson}.
type JSONInto struct{ Into *[]byte }

func readText(into *string) TextInto { return TextInto{into} }

func readJSON(into *[]byte) JSONInto { return JSONInto{into} }
