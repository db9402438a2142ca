package safetensors

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// string reads a string, and keeps its first bytes in r.text: whole characters, at most keep bytes.
// It refuses more than limit bytes. It returns the offset of the string and its length in bytes,
// without quotes and escapes.
func (r *reader) string(want string, keep, limit int64) (at, length int64, err error) {
	if err := r.take('"', want); err != nil {
		return 0, 0, err
	}
	at = r.pos - 1
	r.text = r.text[:0]
	for {
		b, err := r.ahead(len(`\uD800\uDC00`))
		if err != nil {
			return 0, 0, err
		}
		if len(b) == 0 {
			return 0, 0, r.fail(r.end, "the header ends inside the text that starts at offset %d", at)
		}
		if b[0] == '"' {
			r.pos++
			return at, length, nil
		}
		var one [utf8.UTFMax]byte
		part, used, err := r.characters(b, &one)
		if err != nil {
			return 0, 0, err
		}
		r.pos += int64(used)
		if length+int64(len(part)) > limit {
			return 0, 0, r.fail(at, "text of more than %d bytes", limit)
		}
		if room := keep - length; room > 0 { // no room is left after a character that does not fit
			if err := r.keep(part[:wholeCharacters(part, room)]); err != nil {
				return 0, 0, err
			}
		}
		length += int64(len(part))
	}
}

// wholeCharacters returns the size of the longest prefix of part of at most room bytes. part is
// ASCII or one character.
func wholeCharacters(part []byte, room int64) int64 {
	switch {
	case int64(len(part)) <= room:
		return int64(len(part))
	case part[0] < utf8.RuneSelf:
		return room
	}
	return 0
}

// characters decodes the start of b, which is inside a string: a run of ASCII, or one character,
// for which it uses one. It returns the number of bytes of b that it decoded.
func (r *reader) characters(b []byte, one *[utf8.UTFMax]byte) (part []byte, used int, err error) {
	for used < len(b) && b[used] >= ' ' && b[used] < utf8.RuneSelf && b[used] != '"' && b[used] != '\\' {
		used++
	}
	if used > 0 {
		return b[:used], used, nil
	}
	c := b[0]
	switch {
	case c == '\\':
		char, used, err := r.escape(b)
		return utf8.AppendRune(one[:0], char), used, err
	case c < ' ':
		return nil, 0, r.fail(r.pos, "byte 0x%02x in a text is not escaped", c)
	}
	char, used := utf8.DecodeRune(b)
	if char == utf8.RuneError && used <= 1 {
		return nil, 0, r.fail(r.pos, "byte 0x%02x is not valid UTF-8", c)
	}
	return b[:used], used, nil
}

// escape decodes an escape at the start of b.
func (r *reader) escape(b []byte) (char rune, used int, err error) {
	if len(b) < 2 {
		return 0, 0, r.fail(r.end, "the header ends inside an escape")
	}
	switch c := b[1]; c {
	case '"', '\\', '/':
		return rune(c), 2, nil
	case 'b':
		return '\b', 2, nil
	case 'f':
		return '\f', 2, nil
	case 'n':
		return '\n', 2, nil
	case 'r':
		return '\r', 2, nil
	case 't':
		return '\t', 2, nil
	case 'u':
		return r.unicode(b)
	}
	return 0, 0, r.fail(r.pos, "unknown escape %s", header.Quote(string(b[:2])))
}

// unicode decodes an escape like \u00e9, or two of them for a character outside the basic plane.
func (r *reader) unicode(b []byte) (char rune, used int, err error) {
	const size = len(`\u00e9`)
	char, ok := hex(b)
	if !ok {
		return 0, 0, r.fail(r.pos, "escape %s does not have four hexadecimal digits",
			header.Quote(string(b[:min(size, len(b))])))
	}
	if !utf16.IsSurrogate(char) {
		return char, size, nil
	}
	second, _ := hex(b[size:])
	if pair := utf16.DecodeRune(char, second); pair != utf8.RuneError {
		return pair, 2 * size, nil
	}
	return 0, 0, r.fail(r.pos, "escape %s is half of a character", header.Quote(string(b[:size])))
}

// hex decodes an escape like \u00e9 at the start of b.
func hex(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 32)
	return rune(n), err == nil
}

// keep appends to r.text, whose memory it counts.
func (r *reader) keep(part []byte) error {
	if need := len(r.text) + len(part); need > cap(r.text) {
		grown := max(2*cap(r.text), need, 64)
		if err := r.charge(int64(grown)); err != nil {
			return err
		}
		r.text = append(make([]byte, 0, grown), r.text...)
	}
	r.text = append(r.text, part...)
	return nil
}

// kept returns a copy of r.text, whose memory it counts with that of its size class.
func (r *reader) kept() (string, error) {
	n := int64(len(r.text))
	if err := r.charge(n + n/8 + 16); err != nil {
		return "", err
	}
	return string(r.text), nil
}
