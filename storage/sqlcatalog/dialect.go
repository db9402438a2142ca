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
	// Texts are the engine's own texts of statements that engines have different ones for, by name. Empty means that
	// there is nothing to do: Exec does nothing then, and Change says 1.
	Texts() map[string]string
	// Word returns what stands for a word, see Render, or false for one that the engine does not know.
	Word(name string, args Args) (text string, known bool)
	// Findings are what Audit looks for besides.
	Findings() []Finding
	// Finish returns a statement whose words are filled in as the engine takes it.
	Finish(name, text string) string
}

// Sessions connects and runs transactions. It tries again what may pass, and explains what does not.
type Sessions interface {
	// Read runs do on one connection. A long one may take hours.
	Read(ctx context.Context, long bool, do func(*Tx) error) error
	// Write runs do in a transaction that commits if do returns nil, and does nothing otherwise. It may run do
	// again, also when the commit happened and its answer was lost: do then finds what it did.
	Write(ctx context.Context, long bool, do func(*Tx) error) error
	// Change executes a statement and returns how many rows it changed, not counting those of triggers.
	Change(t *Tx, text string, args []any) (int64, error)
	// Insert executes a statement that makes a row, and returns the row's number.
	Insert(t *Tx, text string, args []any) (int64, error)
	// Refused reports whether a foreign key refused a change, and Duplicate whether a unique key did.
	Refused(err error) bool
	Duplicate(err error) bool
}

// Encoding says how columns hold what is more than a number or bytes.
type Encoding interface {
	// Bind returns the parameters for an argument of a statement, by names that begin with the given one:
	// for a Text, a Key
	// or an ingest.Address, and for what else the driver does not take as it is. It returns none for the others.
	Bind(name string, argument any) []sql.NamedArg
	// Field returns where the columns of a value are scanned into: a TextInto, a JSONInto, a *time.Time or an
	// *ingest.Address. It returns nil for what takes one column as it is.
	Field(into any) *Field
}

// Field is a value on its way out of one or more columns.
type Field struct {
	Columns []any
	Set     func() error // once the columns are scanned; may be nil
}

// Rows writes and reads what is too much for one statement after the other.
type Rows interface {
	// AddLayers makes a row for each tensor of the model's files, whose indexes run on over the files, and sets the
	// layers of entry.
	AddLayers(t *Tx, entry *ingest.Entry, model *ingest.Model) error
	// Record writes a batch, in one transaction, with the steps of r: Look before the rows, and Note after them.
	Record(ctx context.Context, r *Recording) error
	// ReadPayload fills into with the payload that the row of a segment holds, and returns how many bytes it has.
	// It copies nothing where that is not len(into). 0 means that the row holds none, NoRow that there is no row.
	ReadPayload(ctx context.Context, s ingest.StoredSegment, into []byte) (bytes int64, err error)
	// ReadAtom fills into with the payload of an atom from offset on, and returns how many bytes the payload has. It
	// copies nothing where that is less than offset+len(into). NoPayload means that the row holds none, NoRow that
	// there is no row.
	ReadAtom(ctx context.Context, atom ingest.FileAtom, offset int64, into []byte) (bytes int64, err error)
	// MaxAtomPayload is that of ingest.Atoms.
	MaxAtomPayload() (bytes int64, streamed bool)
	// FillFile puts the payload of an atom into its row where that is done as a file, in one transaction. It reports
	// false, and does nothing, where a parameter of a statement will do.
	FillFile(ctx context.Context, fill FileFill) (bool, error)
	// ReplaceFile puts a payload into the row of a segment where that is done as a file, in one
	// transaction under the lease. It
	// reports false, and does nothing, where a parameter of a statement will do.
	ReplaceFile(ctx context.Context, lease ingest.Lease, s ingest.StoredSegment, payload []byte) (bool, error)
}

// FileFill are the steps of a transaction that writes the payload of an atom as a file.
type FileFill struct {
	// Begin returns the number of an atom whose payload is empty, and is to be filled; 0 for none.
	Begin func(*Tx) (atom int64, err error)
	// Payload is read to its end between the two. A new one is made for each attempt.
	Payload func() io.Reader
	Finish  func(*Tx) error
}

// Text is an argument for a column of text, which another program may have made too short for it.
type Text struct {
	Column string // such as "Models.ModelName"
	Value  string
	Null   bool // an empty text is NULL
	Whole  bool // a part of the text would mean something else: what does not fit is NULL in the column
}

// Key is an argument by which rows are found whose texts are these, byte for byte.
type Key []string

// Hash is the SHA-256 by which texts are found byte for byte, whatever the collation.
func Hash(texts ...string) []byte {
	h := sha256.New()
	for i, text := range texts {
		if i > 0 {
			fmt.Fprintf(h, "%d ", len(texts[i-1])) // so that no two lists are written alike
		}
		h.Write([]byte(text))
	}
	return h.Sum(nil)
}

// TextInto marks where a text is read into that {read} has selected.
type TextInto struct{ Into *string }

// JSONInto marks where JSON is read into that {readjson} has selected.
type JSONInto struct{ Into *[]byte }

func readText(into *string) TextInto { return TextInto{into} }

func readJSON(into *[]byte) JSONInto { return JSONInto{into} }
