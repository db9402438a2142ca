package gguf

import (
	"errors"
	"fmt"
)

// ErrMemory is what an [*Error] wraps when the header is sound so far, but needs more memory than [Limits] allow.
var ErrMemory = errors.New("--memory raises the cap, fewer --jobs too")

// Error says why a file is refused. It is the only type of error that this package returns. It does not know the
// file's name: the caller adds it.
type Error struct {
	// Offset in bytes from the start of the file: of the field that breaks a rule, or of the first byte that could
	// not be read.
	Offset int64
	// Reason says which key or tensor, and what is wrong with it. Names from the file are quoted.
	Reason string
	// Err is the cause, if there is one: the error of the reader, [io.ErrUnexpectedEOF] if the reader ended before
	// the size that it was said to have, or [ErrMemory]. A file that merely ends too early has none.
	Err error
}

// Error returns the offset, the reason and the cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("offset %d: %s: %v", e.Offset, e.Reason, e.Err)
	}
	return fmt.Sprintf("offset %d: %s", e.Offset, e.Reason)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// fail makes the error for the field at an offset. It names the key or tensor that is being read.
func (r *reader) fail(at int64, format string, args ...any) *Error {
	return &Error{Offset: at, Reason: r.place() + fmt.Sprintf(format, args...)}
}

// place names what is being read, or nothing for the fields before the first key.
func (r *reader) place() string {
	switch {
	case r.noun == "":
		return ""
	case r.name == "":
		return fmt.Sprintf("%s %d of %d: ", r.noun, r.index+1, r.count)
	}
	return r.noun + " " + quote(r.name) + ": "
}

// quote makes bytes from a file safe to print, and short.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
