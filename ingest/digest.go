package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Digest is the SHA-256 of a file or a segment: the same 32 bytes as from sha256sum, T-SQL's
// HASHBYTES('SHA2_256', ...) and Ollama's blob names. The zero value means "not known".
type Digest [sha256.Size]byte

// Sum returns the digest of payload.
func Sum(payload []byte) Digest { return sha256.Sum256(payload) }

// ParseDigest parses "sha256:<64 hex>" or "sha256-<64 hex>" in lower case. A digest becomes part of
// a path, so it accepts no other spelling.
func ParseDigest(text string) (Digest, error) {
	hexits, ok := strings.CutPrefix(text, "sha256:")
	if !ok {
		hexits, ok = strings.CutPrefix(text, "sha256-")
	}
	if !ok {
		return Digest{}, fmt.Errorf("%q is not a digest: want sha256: or sha256- before 64 hexadecimal digits", text)
	}
	var d Digest
	if err := d.UnmarshalText([]byte(hexits)); err != nil {
		return Digest{}, err
	}
	return d, nil
}

// IsZero reports whether d is the zero value, "not known".
func (d Digest) IsZero() bool { return d == Digest{} }

// String returns 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short returns the first 12 digits, for messages.
func (d Digest) Short() string { return d.String()[:12] }

// MarshalText returns 64 lower-case hexadecimal digits, or nothing for the zero value.
func (d Digest) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText parses 64 lower-case hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(d)) || strings.ToLower(string(text)) != string(text) {
		return fmt.Errorf("%q is not a digest: want 64 lower-case hexadecimal digits", text)
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		return fmt.Errorf("%q is not a digest: %w", text, err)
	}
	return nil
}

// DigestPrefix is the beginning of a digest: 6 to 64 lower-case hexadecimal digits.
type DigestPrefix string

const minPrefix = 6

// ParseDigestPrefix parses 6 to 64 hexadecimal digits in either case, after sha256:, sha256- or
// nothing.
func ParseDigestPrefix(text string) (DigestPrefix, error) {
	hexits := strings.ToLower(text)
	hexits = strings.TrimPrefix(strings.TrimPrefix(hexits, "sha256:"), "sha256-")
	if len(hexits) < minPrefix || len(hexits) > 2*sha256.Size || strings.Trim(hexits, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%q is not the start of a SHA-256: want %d to %d hexadecimal digits", text, minPrefix,
			2*sha256.Size)
	}
	return DigestPrefix(hexits), nil
}

// First returns the smallest digest with this prefix.
func (p DigestPrefix) First() Digest { return p.fill("0") }

// Last returns the largest digest with this prefix.
func (p DigestPrefix) Last() Digest { return p.fill("f") }

func (p DigestPrefix) fill(digit string) (d Digest) {
	text := string(p) + strings.Repeat(digit, max(0, 2*sha256.Size-len(p)))
	_, _ = hex.Decode(d[:], []byte(text[:2*sha256.Size])) // text is hexadecimal
	return d
}
