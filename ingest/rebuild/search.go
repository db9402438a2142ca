package rebuild

import (
	"context"
	"slices"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
)

// hiddenAtOnce is how many hidden payloads are restored together.
const hiddenAtOnce = 1000

// search looks for a payload that is not stored as the description says: recompress may have encoded
// it since, or a gc that was killed may have hidden it. It lists the store once for each model.
func (r *recorder) search(ctx context.Context, n *ingest.NewSegment) (bool, error) {
	if r.found == nil {
		if err := r.list(ctx); err != nil {
			return false, err
		}
	}
	return r.reuse(ctx, n, slices.DeleteFunc(slices.Clone(r.found[n.Digest]), func(a ingest.Address) bool {
		return a.Codec == "" != (a.Bytes == n.Bytes)
	}))
}

// list finds all payloads of the model's digests, and restores hidden ones.
func (r *recorder) list(ctx context.Context) error {
	r.found = map[ingest.Digest][]ingest.Address{}
	var hidden []ingest.Object
	for object, err := range r.Store.List(ctx) {
		if err != nil {
			return err
		}
		if !r.digests[object.Digest] {
			continue
		}
		if object.Hidden {
			hidden = append(hidden, object)
		}
		if len(hidden) == hiddenAtOnce {
			if err := ingest.Restore(ctx, r.Store, hidden); err != nil {
				return err
			}
			hidden = nil
		}
		if encoding, ok := describe.EncodingOf(object.Name, object.Digest); ok {
			r.found[object.Digest] = append(r.found[object.Digest], r.Store.AddressOf(object.Digest, object.Bytes,
				encoding))
		}
	}
	return ingest.Restore(ctx, r.Store, hidden)
}
