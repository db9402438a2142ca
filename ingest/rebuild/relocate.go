package rebuild

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
)

// relocate corrects the rows of a complete model whose payloads are now in another encoding: the catalogue was
// restored from a copy that was made before recompress. It leaves payloads that are missing to verify.
func (w *run) relocate(ctx context.Context, m *described, files []ingest.StoredFile) error {
	r := &recorder{run: w, described: m}
	for _, f := range files {
		missing, err := w.missing(ctx, f.ID)
		if err != nil {
			return err
		}
		for _, s := range missing {
			n := ingest.NewSegment{Segment: ingest.Segment{Bytes: s.Bytes}, Digest: s.Digest}
			found, err := r.search(ctx, &n)
			if err == nil && found {
				err = w.Catalog.Relocate(ctx, w.job, s, n.Address)
			}
			if err != nil && !errors.Is(err, ingest.ErrMoved) { // with another row of the same payload
				return err
			}
		}
	}
	return nil
}

// missing returns the segments of a file whose payload is not in the store as their rows say.
func (w *run) missing(ctx context.Context, file ingest.FileID) (missing []ingest.StoredSegment, err error) {
	var mu sync.Mutex
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for s, err := range w.Catalog.Segments(work, file, 0) {
		if err != nil {
			return nil, errors.Join(err, group.Wait())
		}
		if s.InRow || s.Digest.IsZero() {
			continue
		}
		group.Go(func() error {
			switch _, err := w.Store.Stat(work, s.Digest, s.Address); {
			case errors.Is(err, ingest.ErrNoPayload):
				mu.Lock()
				defer mu.Unlock()
				missing = append(missing, s)
			case errors.Is(err, ingest.ErrUnreachable):
				return err
			}
			return nil
		})
	}
	return missing, group.Wait()
}
