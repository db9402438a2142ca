package storage

import (
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

func TestPayload(t *testing.T) {
	digest, stored := ingest.Sum([]byte("original")), ingest.Sum([]byte("stored"))
	raw := PayloadOf(digest, ingest.Encoding{})
	encoded := PayloadOf(digest, ingest.Encoding{Codec: "x", Stored: stored})
	hex := digest.String()
	for p, want := range map[Payload]string{raw: hex, encoded: hex + "-" + stored.String()} {
		if p.String() != want || p.Name() != "sha256/"+hex[:2]+"/"+want {
			t.Errorf("%s and %s, want %s", p, p.Name(), want)
		}
		if got, ok := ParsePayload(want); !ok || got != p {
			t.Errorf("ParsePayload(%s): %v, %v", want, got, ok)
		}
	}
	if raw.Content != digest || encoded.Content != stored {
		t.Errorf("the contents are %s and %s", raw.Content, encoded.Content)
	}
	for _, wrong := range []string{
		"", "-", hex + "-", "-" + hex, hex[1:], hex + "-" + hex[1:], hex + "-" + hex, strings.ToUpper(hex),
		hex + "-" + strings.ToUpper(stored.String()), hex + "-" + stored.String() + "-" + hex,
		hex + "_" + stored.String(), raw.Name(),
	} {
		if p, ok := ParsePayload(wrong); ok {
			t.Errorf("%q is read as %s", wrong, p)
		}
	}
}
