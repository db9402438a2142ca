package ingest

import (
	"errors"
	"fmt"
	"strings"
)

// The errors that callers branch on.
var (
	// ErrNoPayload: the store has nothing under this digest.
	ErrNoPayload = errors.New("payload is missing")
	// ErrUnreachable: the store did not answer, or not to this credential. It says nothing of a payload.
	ErrUnreachable = errors.New("the store cannot be asked")
	// ErrModified: what was to be removed is another write than the one that was looked at.
	ErrModified = errors.New("it was written again since it was listed, and is spared")
	// ErrLeaseLost: another process works on the job, because this one did not renew in time.
	ErrLeaseLost = errors.New("the job was taken over by another process")
	// ErrBusy: another process works on it now; see BusyError for who.
	ErrBusy = errors.New("another process is at work")
	// ErrNotFound: the catalogue has no such model, file or job.
	ErrNotFound = errors.New("not found")
	// ErrIncomplete: a model was to be completed and rows or digests are missing.
	ErrIncomplete = errors.New("not everything is recorded")
	// ErrOverlap: two tensors claim the same bytes, or bytes beyond the file.
	ErrOverlap = errors.New("tensors overlap or lie outside of the file")
	// ErrChanged: a file grew, shrank or was written while it was read.
	ErrChanged = errors.New("the file changed while it was read; nothing of it is recorded as complete: run again " +
		"when it is at rest")
	// ErrInterrupted: the run was asked to stop, and stopped at the end of a batch.
	ErrInterrupted = errors.New("interrupted")
)

// RewrittenError says that a payload was written again since its row was. Whether by us or by another,
// only reading tells.
type RewrittenError struct {
	Was string  // the ETag that the row has
	Now Address // what lies there
}

func (e *RewrittenError) Error() string {
	return fmt.Sprintf("%s was written again: its ETag is %s, and was %s; read it back to see whether it is still right", e.Now.URI, e.Now.ETag, e.Was)
}

// SourceError is trouble with one source file. The other files of a run go on.
type SourceError struct {
	Path   string
	Offset int64 // byte of the file; negative where no place is to blame
	Err    error
}

func (e *SourceError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("%s: %v", Printable(e.Path), e.Err)
	}
	return fmt.Sprintf("%s: at byte %d: %v", Printable(e.Path), e.Offset, e.Err)
}

func (e *SourceError) Unwrap() error { return e.Err }

// MismatchError: a file's content is not what its name, its manifest or an
// earlier run says.
type MismatchError struct {
	Want, Got Digest
	// Parts says where the file differs from content of the wanted digest that
	// the catalogue knows; empty if it knows none.
	Parts []string
}

func (e *MismatchError) Error() string {
	text := fmt.Sprintf("the content has SHA-256 %s, and should have %s", e.Got, e.Want)
	if e.Got.IsZero() {
		text = fmt.Sprintf("the content no longer has the SHA-256 %s that was recorded", e.Want)
	}
	if len(e.Parts) > 0 {
		text += "; it differs in " + strings.Join(e.Parts, ", ")
	}
	return text + ": fetch the file again"
}

// Printable returns text fit for a terminal and a log: quoted as in Go if it
// holds control characters or is not UTF-8, else as it is.
func Printable(text string) string {
	quoted := fmt.Sprintf("%q", text)
	if plain := quoted[1 : len(quoted)-1]; strings.ReplaceAll(strings.ReplaceAll(plain, `\\`, `\`), `\"`, `"`) == text {
		return text
	}
	return quoted
}
