package sqlcatalog

import (
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// digestColumn is a digest as a column has it: nil, which is NULL, if it is not known.
func digestColumn(d ingest.Digest) []byte {
	if d.IsZero() {
		return nil
	}
	return d[:]
}

// maxDigests is what the contract of ingest.Maintenance lets Referenced be asked at once.
const maxDigests = 1000

// checkDigests refuses more digests than Referenced may be asked at once.
func checkDigests(digests []ingest.Digest) error {
	if len(digests) > maxDigests {
		return fmt.Errorf("%d digests at once, at most %d", len(digests), maxDigests)
	}
	return nil
}
