package safetensors

import (
	"bytes"
	"fmt"
	"strings"
)

// hintBytes is the number of bytes that are read to say what another file is.
const hintBytes = 64

// knownStarts are the first bytes, in lower case, of what is often found in the place of weights.
var knownStarts = [...]struct{ start, what string }{
	{"version https://git-lfs", "is a Git LFS pointer in place of the file"},
	{"<!doctype", "is a web page"},
	{"<html", "is a web page"},
	{"pk\x03\x04", "is a ZIP archive, like PyTorch's files"},
	{"\x80\x02", "is a Python pickle, like PyTorch's older files"},
	{"gguf", "is a GGUF file"},
}

// otherwise says what a file is that starts with the given bytes and is not in the format. For
// nothing well known, it returns the other words.
func otherwise(first []byte, format string, args ...any) string {
	if len(first) == 0 {
		return "is empty"
	}
	start := strings.TrimLeft(string(first), "\ufeff \t\r\n")
	for _, known := range knownStarts {
		if n := len(known.start); len(start) >= n && strings.EqualFold(start[:n], known.start) {
			return known.what
		}
	}
	switch {
	case bytes.Count(first, []byte{0}) == len(first):
		return "starts with zeros, like an unfinished download"
	case isText(first):
		if len(first) == hintBytes {
			return fmt.Sprintf("is text: %q...", first)
		}
		return fmt.Sprintf("is text: %q", first)
	}
	return fmt.Sprintf(format, args...)
}

// isText reports whether all bytes are of printable ASCII text.
func isText(first []byte) bool {
	for _, c := range first {
		if (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}
