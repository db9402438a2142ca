package safetensors

import (
	"fmt"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// Error says why a file is refused. All errors of this package have this type.
type Error = header.Error

// fail returns the error for the text at an offset. It names the current tensor or key.
func (r *reader) fail(at int64, format string, args ...any) *Error {
	return &Error{Offset: at, Reason: r.context() + fmt.Sprintf(format, args...)}
}

// context names the current tensor or key. It is empty outside of them.
func (r *reader) context() string {
	if r.kind == "" {
		return ""
	}
	return r.kind + " " + header.Quote(r.name) + ": "
}
