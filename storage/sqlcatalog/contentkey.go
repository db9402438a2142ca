package sqlcatalog

import (
	"crypto/sha256"

	"github.com/hartonomous/ingest/ingest"
)

// contentKey is what complete models are told apart by, and what two with the same
// weights share: the digest of the one weights file, or the digest over the
// digests of several in their order. It is zero for a model without weights, or
// of which a digest is not known.
func contentKey(files []ingest.StoredFile) ingest.Digest {
	var last ingest.Digest
	h := sha256.New()
	weights := 0
	for i := range files {
		if files[i].Role != ingest.Weights {
			continue
		}
		if files[i].Digest.IsZero() {
			return ingest.Digest{}
		}
		weights++
		last = files[i].Digest
		h.Write(last[:])
	}
	if weights < 2 {
		return last
	}
	return ingest.Digest(h.Sum(nil))
}
