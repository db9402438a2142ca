package ingest

import (
	"encoding/hex"
	"strings"
)

// The digits of a DigestPrefix: few enough to type, and enough not to be a word.
const (
	minPrefix = 6
	maxPrefix = 2 * len(Digest{})
)

// DigestPrefix is the first 6 to 64 digits of a Digest, in lower case.
type DigestPrefix string

// ParseDigestPrefix reads 6 to 64 hexadecimal digits, in any case.
func ParseDigestPrefix(text string) (prefix DigestPrefix, ok bool) {
	if len(text) < minPrefix || len(text) > maxPrefix {
		return "", false
	}
	prefix = DigestPrefix(strings.ToLower(text))
	_, err := hex.DecodeString(prefix.filled("0"))
	return prefix, err == nil
}

// First returns the smallest digest that begins with p.
func (p DigestPrefix) First() Digest { return p.digest("0") }

// Last returns the largest digest that begins with p.
func (p DigestPrefix) Last() Digest { return p.digest("f") }

func (p DigestPrefix) digest(digit string) (d Digest) {
	hex.Decode(d[:], []byte(p.filled(digit))) // a DigestPrefix has hexadecimal digits only
	return d
}

func (p DigestPrefix) filled(digit string) string {
	return string(p) + strings.Repeat(digit, maxPrefix-len(p))
}
