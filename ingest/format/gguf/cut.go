package gguf

import (
	"errors"
	"fmt"
	"regexp"
)

// cutName matches the names of parts of a file that was cut, at places that have no meaning in the
// format. The parts of a split model, -00001-of-00002.gguf, are whole files.
var cutName = regexp.MustCompile(`(?i)(\.part[0-9]+of[0-9]+|-split-[a-z]+)$`)

// ErrCut says what to do with a part of a file that was cut.
var ErrCut = errors.New("a part of a file that was cut: join all parts in order, with cat or copy /b")

// WholeName returns the name of the whole file for the name of a part; ok is false for any other name.
func WholeName(name string) (whole string, ok bool) {
	at := cutName.FindStringIndex(name)
	if at == nil {
		return "", false
	}
	return name[:at[0]], true
}

// short is fail for a file that ends before the data that its header describes.
func (r *reader) short(at int64, format string, args ...any) *Error {
	e := r.fail(at, format, args...)
	e.Reason += r.cut()
	return e
}

// cut says what to do if the file's name is that of a part of a file that was cut.
func (r *reader) cut() string {
	part := cutName.FindString(r.file)
	if part == "" {
		return ""
	}
	return fmt.Sprintf(": %q is %v", part, ErrCut)
}
