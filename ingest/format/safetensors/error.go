package safetensors

import (
	"errors"
	"fmt"
)

// ErrMemory is wrapped by the [*Error] of a header that needs more memory than [Limits] allow.
var ErrMemory = errors.New("use a larger --memory or fewer --jobs")

// Error says why a file is refused. All errors of this package have this type. The caller adds the
// file's name.
type Error struct {
	// Offset of the invalid text, or of the first byte that is missing or could not be read, from
	// the file's start.
	Offset int64
	// Reason names the tensor or metadata key and what is wrong with it. Names from the file are
	// quoted.
	Reason string
	// Err is the cause, if any: the error of the reader, [io.ErrUnexpectedEOF] if the reader ended
	// before the given size, or [ErrMemory]. It is nil for a truncated file.
	Err error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("offset %d: %s: %v", e.Offset, e.Reason, e.Err)
	}
	return fmt.Sprintf("offset %d: %s", e.Offset, e.Reason)
}

func (e *Error) Unwrap() error { return e.Err }

// fail returns the error for the text at an offset. It names the current tensor or key.
func (r *reader) fail(at int64, format string, args ...any) *Error {
	return &Error{Offset: at, Reason: r.context() + fmt.Sprintf(format, args...)}
}

// context names the current tensor or key. It is empty outside of them.
func (r *reader) context() string {
	if r.kind == "" {
		return ""
	}
	return r.kind + " " + quote(r.name) + ": "
}

// quote returns text from a file in a form that is short and safe to print.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
