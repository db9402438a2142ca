package header

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// ContentBytes is the number of bytes that Content looks at, and shows of a text.
const ContentBytes = 64

// knownStarts are the first bytes, in lower case, of what is often found in the place of weights.
var knownStarts = [...]struct{ start, what string }{
	{"version https://git-lfs", "is a Git LFS pointer: `git lfs pull` fetches the file"},
	{"<!doctype", "is a web page"},
	{"<html", "is a web page"},
	{"gguf", "is a GGUF file"},
	{"lmgg", "has the older format ggml"},
	{"fmgg", "has the older format ggmf"},
	{"tjgg", "has the older format ggjt"},
	{"fugg", "is a draft of the format GGUF"},
	{"pk\x03\x04", "is a ZIP archive, like PyTorch's files"},
	{"\x80\x02", "is a Python pickle, like PyTorch's older files"},
}

// Content says what a file is that starts with the given bytes and is not what its name promises: "is a
// web page". It is empty for nothing well known.
func Content(first []byte) string {
	whole := len(first) <= ContentBytes
	first = first[:min(ContentBytes, len(first))]
	start := strings.TrimLeft(string(first), "\ufeff \t\r\n")
	for _, known := range knownStarts {
		if n := len(known.start); len(start) >= n && strings.EqualFold(start[:n], known.start) {
			return known.what
		}
	}
	switch text, kind := decoded(first); {
	case len(first) == 0:
		return "is empty"
	case bytes.Count(first, []byte{0}) == len(first):
		return "starts with zeros, like an unfinished download"
	case !isText(text):
		return ""
	case whole:
		return fmt.Sprintf("is %s: %q", kind, text)
	default:
		return fmt.Sprintf("is %s: %q...", kind, text)
	}
}

// decoded decodes the whole characters of a text.
func decoded(first []byte) (text, kind string) {
	if len(first) >= 2 {
		for _, order := range [...]binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			if mark := order.Uint16(first); mark == '\ufeff' {
				return decodeUTF16(first[2:], order), "UTF-16 text"
			}
		}
	}
	return WholeRunes(string(first)), "text"
}

// WholeRunes removes an incomplete character at the end.
func WholeRunes(s string) string {
	for i := len(s) - 1; i >= 0 && i >= len(s)-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			if !utf8.FullRuneInString(s[i:]) {
				return s[:i]
			}
			break
		}
	}
	return s
}

// decodeUTF16 decodes the whole characters of text.
func decodeUTF16(text []byte, order binary.ByteOrder) string {
	var units []uint16
	for ; len(text) >= 2; text = text[2:] {
		units = append(units, order.Uint16(text))
	}
	if n := len(units); n > 0 && utf16.IsSurrogate(rune(units[n-1])) && units[n-1] < 0xdc00 {
		units = units[:n-1]
	}
	return string(utf16.Decode(units))
}

// isText reports whether all characters can be printed, or are white space.
func isText(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool {
		return !unicode.IsPrint(c) && !unicode.IsSpace(c) || c == utf8.RuneError
	})
}
