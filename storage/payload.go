package storage

import (
	"encoding/hex"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// Payload identifies a payload in a store by content. Such stores give it the same name, which has
// both digests, so that a store can be checked without its catalogue.
type Payload struct {
	Digest  ingest.Digest // of the original bytes
	Content ingest.Digest // of the payload as it is stored: Digest, unless it is encoded
}

// PayloadOf returns the payload of digest with this encoding.
func PayloadOf(digest ingest.Digest, encoding ingest.Encoding) Payload {
	return Payload{Digest: digest, Content: encoding.Content(digest)}
}

// ParsePayload parses the result of String.
func ParsePayload(text string) (Payload, bool) {
	digest, content, encoded := strings.Cut(text, "-")
	if !encoded {
		content = digest
	}
	var p Payload
	ok := p.Digest.UnmarshalText([]byte(digest)) == nil && p.Content.UnmarshalText([]byte(content)) == nil
	return p, ok && p.String() == text
}

// String returns the digest. For an encoded payload, a hyphen and the digest of its content follow.
func (p Payload) String() string {
	if p.Content == p.Digest {
		return p.Digest.String()
	}
	return p.Digest.String() + "-" + p.Content.String()
}

// Name returns the payload's name in a store: sha256/, the first byte of the digest, and String.
func (p Payload) Name() string {
	return "sha256/" + hex.EncodeToString(p.Digest[:1]) + "/" + p.String()
}
