package gguf

import (
	"fmt"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// Error says why a file is refused. All errors of this package have this type.
type Error = header.Error

// fail returns the error for the field at an offset. It names the current key or tensor.
func (r *reader) fail(at int64, format string, args ...any) *Error {
	return &Error{Offset: at, Reason: r.context() + fmt.Sprintf(format, args...)}
}

// context names the current key or tensor. It is empty before the first key.
func (r *reader) context() string {
	switch {
	case r.kind == "":
		return ""
	case r.name == "":
		return fmt.Sprintf("%s %d of %d: ", r.kind, r.index+1, r.count)
	}
	return r.kind + " " + header.Quote(r.name) + ": "
}
