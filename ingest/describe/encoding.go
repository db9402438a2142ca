package describe

import (
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/codec"
)

// EncodingOf returns the encoding of the payload of digest that has this name or URI in a store by
// content. The name ends with the digest in hexadecimal. For an encoded payload, a hyphen and the
// SHA-256 of the payload as it is stored follow. ok is false for another name.
func EncodingOf(name string, digest ingest.Digest) (e ingest.Encoding, ok bool) {
	name = name[strings.LastIndexAny(name, "/:")+1:]
	if name == digest.String() {
		return e, true
	}
	stored, ok := strings.CutPrefix(name, digest.String()+"-")
	if !ok || e.Stored.UnmarshalText([]byte(stored)) != nil {
		return e, false
	}
	e.Codec = codec.Name // there is no other
	return e, true
}
