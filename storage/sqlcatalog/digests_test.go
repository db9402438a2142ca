package sqlcatalog

import (
	"bytes"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

func TestDigestColumn(t *testing.T) {
	if got := digestColumn(ingest.Digest{}); got != nil {
		t.Errorf("an unknown digest is %x, want NULL", got)
	}
	d := ingest.Sum([]byte("x"))
	if got := digestColumn(d); !bytes.Equal(got, d[:]) {
		t.Errorf("%x became %x", d, got)
	}
}

func TestCheckDigests(t *testing.T) {
	if err := checkDigests(make([]ingest.Digest, 1000)); err != nil {
		t.Errorf("maxDigests: %v", err)
	}
	if err := checkDigests(make([]ingest.Digest, 1001)); err == nil {
		t.Error("more than maxDigests are accepted")
	}
}
