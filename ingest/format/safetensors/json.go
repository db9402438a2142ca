package safetensors

import (
	"math/bits"
	"strings"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// whiteSpace is the white space of JSON.
const whiteSpace = " \t\r\n"

// space skips white space. It returns the next byte, which it does not consume; ok is false at the
// end of the header.
func (r *reader) space() (next byte, ok bool, err error) {
	for {
		b, err := r.ahead(1)
		if err != nil || len(b) == 0 {
			return 0, false, err
		}
		for i, c := range b {
			if strings.IndexByte(whiteSpace, c) < 0 {
				r.pos += int64(i)
				return c, true, nil
			}
		}
		r.pos += int64(len(b))
	}
}

// token skips white space and returns the next byte, which it does not consume.
func (r *reader) token(want string) (byte, error) {
	c, ok, err := r.space()
	if err == nil && !ok {
		err = r.fail(r.end, "the header ends, want %s", want)
	}
	return c, err
}

// unexpected returns the error for a token.
func (r *reader) unexpected(c byte, want string) error {
	switch {
	case c == ' ':
		return r.fail(r.pos, "found a space, want %s", want)
	case c < ' ' || c > '~':
		return r.fail(r.pos, "found byte 0x%02x, want %s", c, want)
	}
	return r.fail(r.pos, "found %c, want %s", c, want)
}

// take consumes the token c.
func (r *reader) take(c byte, want string) error {
	got, err := r.token(want)
	if err != nil {
		return err
	}
	if got != c {
		return r.unexpected(got, want)
	}
	r.pos++
	return nil
}

// list reads items between two brackets, separated by commas.
func (r *reader) list(open, end byte, want string, item func() error) error {
	if err := r.take(open, want); err != nil {
		return err
	}
	first, next := "a value or ]", "a comma or ]"
	if end == '}' {
		first, next = "a key or }", "a comma or }"
	}
	c, err := r.token(first)
	if err == nil && c == end {
		r.pos++
		return nil
	}
	for err == nil {
		if err = item(); err != nil {
			break
		}
		if c, err = r.token(next); err != nil {
			break
		}
		if c != end && c != ',' {
			return r.unexpected(c, next)
		}
		r.pos++
		if c == end {
			break
		}
	}
	return err
}

// object reads an object. member reads a value; its key is in r.text, and starts at an offset.
// Keys have at most limit bytes.
func (r *reader) object(want string, limit int64, member func(at int64) error) error {
	return r.list('{', '}', want, func() error {
		at, _, err := r.string("a key in quotes", limit, limit)
		if err != nil {
			return err
		}
		if err := r.take(':', "a colon"); err != nil {
			return err
		}
		return member(at)
	})
}

// uint reads an integer without sign, fraction and exponent.
func (r *reader) uint(want string) (n uint64, err error) {
	c, err := r.token(want)
	if err != nil {
		return 0, err
	}
	if c != '-' && (c < '0' || c > '9') {
		return 0, r.unexpected(c, want)
	}
	const most = 24 // a byte more than the longest number, and some for the message
	b, err := r.ahead(most)
	if err != nil {
		return 0, err
	}
	text := b[:min(most, len(b))]
	for i, c := range text {
		if strings.IndexByte("0123456789+-.eE", c) < 0 {
			text = text[:i]
			break
		}
	}
	overflow := false
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, r.fail(r.pos, "%s is not a plain integer of zero or more", text)
		}
		hi, lo := bits.Mul64(n, 10)
		sum, carry := bits.Add64(lo, uint64(c-'0'), 0)
		n, overflow = sum, overflow || hi != 0 || carry != 0
	}
	switch {
	case overflow:
		return 0, r.fail(r.pos, "%s does not fit into 64 bits", text)
	case len(text) > 1 && text[0] == '0':
		return 0, r.fail(r.pos, "%s starts with a zero", text)
	}
	r.pos += int64(len(text))
	return n, nil
}

// skip reads a value of any kind, and checks that it is valid JSON. depth is the number of lists
// and objects that contain it.
func (r *reader) skip(depth int) error {
	const want = "a value"
	c, err := r.token(want)
	if err != nil {
		return err
	}
	if depth++; depth > maxNesting && (c == '[' || c == '{') {
		return r.fail(r.pos, "nested more than %d deep", maxNesting)
	}
	switch c {
	case '{':
		return r.object(want, maxKey, func(int64) error { return r.skip(depth) })
	case '[':
		return r.list('[', ']', want, func() error { return r.skip(depth) })
	case '"':
		_, _, err := r.string(want, 0, r.end)
		return err
	case 't':
		return r.word("true")
	case 'f':
		return r.word("false")
	case 'n':
		return r.word("null")
	}
	return r.number()
}

// word consumes a literal.
func (r *reader) word(text string) error {
	b, err := r.ahead(len(text))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(b[:min(len(text), len(b))]), text) {
		return r.fail(r.pos, "found %s, want %s", header.Quote(string(b[:min(len(text), len(b))])), text)
	}
	r.pos += int64(len(text))
	return nil
}

// number skips a number in any of JSON's forms.
func (r *reader) number() error {
	if _, err := r.oneOf("-"); err != nil {
		return err
	}
	zero, err := r.oneOf("0")
	if err != nil {
		return err
	}
	if !zero {
		if err := r.digits("a value"); err != nil {
			return err
		}
	}
	point, err := r.oneOf(".")
	if err == nil && point {
		err = r.digits("a digit")
	}
	if err != nil {
		return err
	}
	exponent, err := r.oneOf("eE")
	if err != nil || !exponent {
		return err
	}
	if _, err := r.oneOf("+-"); err != nil {
		return err
	}
	return r.digits("a digit")
}

// oneOf consumes the next byte if it is one of those in set.
func (r *reader) oneOf(set string) (bool, error) {
	b, err := r.ahead(1)
	if err != nil || len(b) == 0 || strings.IndexByte(set, b[0]) < 0 {
		return false, err
	}
	r.pos++
	return true, nil
}

// digits consumes one digit or more.
func (r *reader) digits(want string) error {
	for some := false; ; some = true {
		b, err := r.ahead(1)
		if err != nil {
			return err
		}
		n := 0
		for n < len(b) && b[n] >= '0' && b[n] <= '9' {
			n++
		}
		r.pos += int64(n)
		switch {
		case n > 0 && n == len(b): // the window may end inside the number
		case n > 0 || some:
			return nil
		case len(b) == 0:
			return r.fail(r.end, "the header ends, want %s", want)
		default:
			return r.unexpected(b[0], want)
		}
	}
}

// MarshalJSON returns a string, or an object with length and first bytes of a truncated one.
func (v Value) MarshalJSON() ([]byte, error) {
	return header.TextJSON(v.Text, uint64(v.Length))
}
