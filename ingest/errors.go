package ingest

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Callers branch on these errors.
var (
	// ErrNoPayload: the store has no payload with this digest.
	ErrNoPayload = errors.New("payload is missing")
	// ErrUnreachable: the store did not answer, or refused the credential. The payload may be
	// intact.
	ErrUnreachable = errors.New("the store cannot be reached")
	// ErrModified: the object was overwritten since it was listed.
	ErrModified = errors.New("it was overwritten since it was listed, and is kept")
	// ErrMoved: another process has changed where the row's payload is since the row was read.
	ErrMoved = errors.New("another process has changed where its payload is")
	// ErrLeaseLost: the lease expired and another process took over the job.
	ErrLeaseLost = errors.New("the job was taken over by another process")
	// ErrBusy: another process works on it. A BusyError has the details.
	ErrBusy = errors.New("another process is at work")
	// ErrNotFound: the catalogue has no such model, file or job.
	ErrNotFound = errors.New("not found")
	// ErrUnfinished: an earlier run began the model and recorded a part of it.
	ErrUnfinished = errors.New("an unfinished model has the same files")
	// ErrIncomplete: rows or digests of a file are missing.
	ErrIncomplete = errors.New("not everything is recorded")
	// ErrNotEmpty: the catalogue has models.
	ErrNotEmpty = errors.New("the catalogue has models of its own: name a new one")
	// ErrOverlap: two tensors claim the same bytes, or bytes beyond the file.
	ErrOverlap = errors.New("tensors overlap or extend beyond the file")
	// ErrChanged: a file grew, shrank or was written while it was read.
	ErrChanged = errors.New("the file changed while it was read and is not recorded as complete: run again when it " +
		"no longer changes")
	// ErrInterrupted: the run was asked to stop, and stopped after a batch.
	ErrInterrupted = errors.New("interrupted")
)

// RewrittenError says that a payload was overwritten since its row was recorded. Only reading it
// tells whether it still has the right content.
type RewrittenError struct {
	Was string  // ETag of the row
	Now Address // of the object in the store
}

func (e *RewrittenError) Error() string {
	return fmt.Sprintf("%s was overwritten: its ETag is %s, and was %s; read it to check its content", e.Now.URI,
		e.Now.ETag, e.Was)
}

// SourceError is an error of one source file. The run continues with the other files.
type SourceError struct {
	Path   string
	Offset int64 // in the file, in bytes; negative if the error has no position
	Err    error
}

func (e *SourceError) Error() string { return Printable(e.Path) + ": " + e.reason() }

// reason is the error without the path.
func (e *SourceError) reason() string {
	text := e.Err.Error()
	if inner, ok := e.Err.(*fs.PathError); ok && inner.Path == e.Path { // names the path, too
		text = fmt.Sprintf("%s: %v", inner.Op, inner.Err)
	}
	if e.Offset < 0 {
		return text
	}
	return fmt.Sprintf("at byte %d: %s", e.Offset, text)
}

func (e *SourceError) Unwrap() error { return e.Err }

// MismatchError says that a file does not have the digest that its name, its manifest or an earlier
// run promises.
type MismatchError struct {
	Want, Got Digest // Got is zero if the whole file was not hashed
	// Parts are the places where the file differs from a stored file with digest Want; empty if
	// there is none.
	Parts []string
}

func (e *MismatchError) Error() string {
	text := fmt.Sprintf("the content has SHA-256 %s, want %s", e.Got, e.Want)
	if e.Got.IsZero() {
		text = fmt.Sprintf("the content no longer has its recorded SHA-256 %s", e.Want)
	}
	if len(e.Parts) > 0 {
		text += "; it differs in " + strings.Join(e.Parts, ", ")
	}
	return text + ": fetch the file again"
}

// Printable returns text for a terminal or a log: quoted as in Go if it has control characters or
// is not UTF-8, otherwise unchanged.
func Printable(text string) string {
	quoted := fmt.Sprintf("%q", text)
	if plain := quoted[1 : len(quoted)-1]; strings.ReplaceAll(strings.ReplaceAll(plain, `\\`, `\`), `\"`, `"`) == text {
		return text
	}
	return quoted
}
