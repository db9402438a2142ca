package sqlcatalog

import (
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// digestColumn is a digest as a column value: nil, which is NULL, if unknown.
func digestColumn(d ingest.Digest) []byte {
	if d.IsZero() {
		return nil
	}
	return d[:]
}

// maxDigests is the limit that ingest.Maintenance sets for one call of Referenced.
const maxDigests = 1000

// checkDigests returns an error for more than maxDigests.
func checkDigests(digests []ingest.Digest) error {
	if len(digests) > maxDigests {
		return fmt.Errorf("%d digests at once, at most %d", len(digests), maxDigests)
	}
	return nil
}
