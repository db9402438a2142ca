package gguf

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// hintBytes is the number of bytes that a hint looks at, and shows of a text.
const hintBytes = 64

// hint says what a file without magic is, if it is something that is often found in .gguf files.
func hint(first []byte) string {
	whole := len(first) <= hintBytes
	first = first[:min(hintBytes, len(first))]
	start := strings.ToLower(strings.TrimLeft(string(first), "\ufeff \t\r\n"))
	for _, known := range [...][2]string{
		{"version https://git-lfs", "a Git LFS pointer in place of the file"},
		{"<!doctype", "a web page"},
		{"<html", "a web page"},
		{"lmgg", "the older format ggml"},
		{"fmgg", "the older format ggmf"},
		{"tjgg", "the older format ggjt"},
		{"fugg", "a draft of the format"},
	} {
		if strings.HasPrefix(start, known[0]) {
			return ", " + known[1]
		}
	}
	text, kind := wholeRunes(string(first)), "text"
	for _, order := range [...]binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if mark := order.Uint16(first); mark == '\ufeff' {
			text, kind = decodeUTF16(first[2:], order), "UTF-16 text"
		}
	}
	switch {
	case !isText(text):
		return ""
	case whole:
		return fmt.Sprintf(", %s: %q", kind, text)
	}
	return fmt.Sprintf(", %s: %q...", kind, text)
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

// cutName matches the names of parts of a file that was cut, at places that have no meaning in the
// format. The parts of a split model, -00001-of-00002.gguf, are whole files.
var cutName = regexp.MustCompile(`(?i)(\.part[0-9]+of[0-9]+|-split-[a-z]+)$`)

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
	return fmt.Sprintf(": %q is a part of a file that was cut: join all parts in order, with cat or copy /b", part)
}
