package describe

import (
	"context"
	"errors"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// content is what the payloads of a file depend on.
type content struct {
	digest       ingest.Digest
	segmentBytes int64
}

// Unknown returns a name of each model that the store describes and that is not complete in the catalogue,
// with the same files and sizes of segments: its ingestion was interrupted, its removal could not be
// described, or the catalogue was restored from an older copy. It also names damaged files, unless a complete model
// lacks a description: one of them may have that.
func (k *Keeper) Unknown(ctx context.Context) (names []string, err error) {
	log, err := ReadLog(ctx, k.Store)
	if err != nil {
		return nil, err
	}
	known := map[ingest.Digest][]content{} // by Key
	described := true
	if err := k.complete(ctx, func(m ingest.Summary) error {
		key := Key(m.Files)
		for _, f := range m.Files {
			known[key] = append(known[key], content{f.Digest, f.SegmentBytes})
		}
		described = described && len(log.live[key]) > 0
		return nil
	}); err != nil {
		return nil, err
	}
	for _, e := range log.Live() {
		lacks := slices.ContainsFunc(e.files, func(f content) bool { return !slices.Contains(known[e.Model], f) })
		if lacks && !slices.Contains(names, e.name) {
			names = append(names, e.name)
		}
	}
	for _, f := range log.Files {
		if described && errors.Is(f.Err, ErrDamaged) {
			names = append(names, "a model in the damaged file "+f.Content.Short())
		}
	}
	return names, nil
}
