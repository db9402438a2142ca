package rebuild

import (
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
)

// usable reports whether a complete model with the described files can stay as it is. It cannot if payloads are
// missing and its segments are not the described ones: it was ingested again after the copy was made from which
// the catalogue was restored. It is refused if it has more than the description. Other payloads that are missing
// are left to verify. usable also corrects rows: see relocate.
func (w *run) usable(ctx context.Context, m *described, there ingest.Summary) (bool, error) {
	lost, err := w.relocate(ctx, there)
	if err != nil || m.sameSegments(there.Files) {
		return true, err
	}
	if !lost {
		w.outdated = append(w.outdated, there.ID)
		return true, nil
	}
	if !m.covers(there) {
		return false, refuse("payloads of model %d in the catalogue are missing, and the description with other "+
			"segments does not have all of its files and names", there.ID)
	}
	return false, nil
}

// covers reports whether the description has all files and names of a model in the catalogue.
func (m *described) covers(there ingest.Summary) bool {
	for _, f := range there.Files {
		same := func(d describe.File) bool { return d.Digest == f.Digest && d.Role == f.Role }
		if !slices.ContainsFunc(m.Files, same) {
			return false
		}
	}
	for _, n := range there.Names {
		if !slices.ContainsFunc(m.Names, func(d describe.Name) bool { return string(d.Name) == n.Alias.Name }) {
			return false
		}
	}
	return true
}

// sameSegments reports whether the segments of the files have the described sizes.
func (m *described) sameSegments(files []ingest.StoredFile) bool {
	return !slices.ContainsFunc(m.Files, func(d describe.File) bool {
		return !slices.ContainsFunc(files, func(f ingest.StoredFile) bool {
			return f.Digest == d.Digest && f.SegmentBytes == d.SegmentBytes
		})
	})
}

// relocate corrects the rows of a model whose payloads are in another encoding, because the catalogue was
// restored from a copy that was made before recompress. It looks once at each model. lost is set if a payload is
// missing. Then the rows stay if the catalogue has used other stores: the model may be in one of them.
func (w *run) relocate(ctx context.Context, there ingest.Summary) (lost bool, err error) {
	lost, looked := w.lost[there.ID]
	if looked {
		return lost, nil
	}
	var missing []ingest.StoredSegment
	r := &recorder{run: w, described: &described{digests: map[ingest.Digest]bool{}}}
	for _, f := range there.Files {
		of, err := w.missing(ctx, f.ID)
		if err != nil {
			return lost, err
		}
		for _, s := range of {
			missing, r.digests[s.Digest] = append(missing, s), true
		}
	}
	type move struct {
		from ingest.StoredSegment
		to   ingest.Address
	}
	var moves []move
	for _, s := range missing {
		n := ingest.NewSegment{Segment: ingest.Segment{Bytes: s.Bytes}, Digest: s.Digest}
		found, err := r.search(ctx, &n)
		if err != nil {
			return lost, err
		}
		if found {
			moves = append(moves, move{s, n.Address})
		}
	}
	lost = len(moves) < len(missing)
	w.lost[there.ID] = lost
	if lost && len(w.sum.Others) > 0 {
		return lost, nil
	}
	for _, m := range moves {
		err := w.Catalog.Relocate(ctx, w.job, m.from, m.to)
		if err != nil && !errors.Is(err, ingest.ErrMoved) { // with another row of the same payload
			return lost, err
		}
	}
	return lost, nil
}

// undescribed looks at the complete models that no description tells of, and counts those that lack payloads.
func (w *run) undescribed(ctx context.Context) error {
	for _, id := range w.models {
		if _, looked := w.lost[id]; looked {
			continue
		}
		there, err := w.Catalog.Model(ctx, id)
		if err == nil {
			_, err = w.relocate(ctx, there)
		}
		if err != nil {
			return err
		}
	}
	for _, lost := range w.lost {
		if lost {
			w.sum.Lost++
		}
	}
	return nil
}

// missing returns the segments of a file whose payload is not in the store as their rows say.
func (w *run) missing(ctx context.Context, file ingest.FileID) (missing []ingest.StoredSegment, err error) {
	var mu sync.Mutex
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for s, err := range w.Catalog.Segments(ctx, file, 0) {
		if err != nil {
			return nil, errors.Join(err, group.Wait())
		}
		if work.Err() != nil {
			break
		}
		if s.InRow || s.Digest.IsZero() {
			continue
		}
		group.Go(func() error {
			var size *ingest.SizeError
			switch _, err := w.Store.Stat(work, s.Digest, s.Address); {
			case errors.Is(err, ingest.ErrNoPayload), errors.As(err, &size):
				mu.Lock()
				defer mu.Unlock()
				missing = append(missing, s)
			case errors.Is(err, ingest.ErrUnreachable):
				return err
			}
			return nil
		})
	}
	err = group.Wait() // before missing is read
	return missing, err
}
