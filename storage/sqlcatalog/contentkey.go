package sqlcatalog

import (
	"crypto/sha256"

	"github.com/hartonomous/ingest/ingest"
)

// contentKey identifies a complete model by its weights: the digest of its only weights file, or
// the digest over the digests of all of them, in order. It is zero for a model without weights, or
// if a digest is unknown.
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
