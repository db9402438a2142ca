package sqlcatalog

import (
	"errors"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

func TestSegmentErrors(t *testing.T) {
	s := ingest.StoredSegment{Ordinal: 3, Offset: 77, File: 9, Digest: ingest.Sum([]byte("right"))}
	for name, test := range map[string]struct {
		err error
		is  error // nil for no sentinel
	}{
		"no row":          {noRow(s), ingest.ErrNotFound},
		"no payload":      {noPayload(s), ingest.ErrNoPayload},
		"another payload": {checkPayload(s, []byte("wrong")), nil},
		"empty address":   {checkAddress(s, ingest.Address{Name: "x"}), nil},
	} {
		if test.err == nil || test.is != nil && !errors.Is(test.err, test.is) {
			t.Errorf("%s: error is %v", name, test.err)
			continue
		}
		if text := test.err.Error(); !strings.HasPrefix(text, "segment 3 at 77 of file 9: ") ||
			strings.Contains(text, "%!") {
			t.Errorf("%s: %q", name, text)
		}
	}
	if err := checkPayload(s, []byte("right")); err != nil {
		t.Errorf("the right payload: %v", err)
	}
	if err := checkAddress(s, ingest.Address{URI: "dir:x"}); err != nil {
		t.Errorf("an address: %v", err)
	}
}
