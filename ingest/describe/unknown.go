package describe

import (
	"context"
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
// described, or the catalogue was restored from an older copy. A file that is damaged or has another version
// counts as one about such a model. log is what the store has now.
func (k *Keeper) Unknown(ctx context.Context, log *Log) (names []string, err error) {
	known := map[ingest.Digest][]content{} // by Key
	if err := k.complete(ctx, func(m ingest.Summary) error {
		key := Key(m.Files)
		for _, f := range m.Files {
			known[key] = append(known[key], content{f.Digest, f.SegmentBytes})
		}
		return nil
	}); err != nil {
		return nil, err
	}
	named := map[ingest.Digest]bool{}
	for _, e := range log.Live() {
		lacks := slices.ContainsFunc(e.files, func(f content) bool { return !slices.Contains(known[e.Model], f) })
		if lacks && !named[e.Model] {
			named[e.Model] = true
			names = append(names, e.name)
		}
	}
	for _, f := range log.Files {
		if f.Err != nil {
			names = append(names, "those of description "+f.Content.Short()+", which is damaged or has another version")
		}
	}
	return names, nil
}
