package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
)

// recordAtOnce records batches of one file, which follow each other, at the same time.
func (r *run) recordAtOnce(ctx context.Context, batches []*ingest.Batch) (failed []error) {
	r.Helper()
	taker, ok := r.Catalog.(ingest.TurnTaker)
	if !ok {
		r.Fatal("the catalogue takes no turns")
	}
	var turns ingest.Turns
	var group errgroup.Group
	failed = make([]error, len(batches))
	for i, batch := range batches {
		turn := turns.Next()
		group.Go(func() error {
			failed[i] = taker.RecordInTurn(ctx, r.lease, batch, turn)
			turn.Settle(failed[i])
			return nil
		})
	}
	group.Wait() // each error is among those that failed
	return failed
}

// payloadBatches are batches of one or two segments.
func (w work) payloadBatches(e *ingest.Entry, file int) (all []*ingest.Batch) {
	for _, b := range w.sources[file].batches(e, file, 2, 0) {
		all = append(all, withPayloads(b))
	}
	return all
}

// wantPayloads reads back what batches have put into the rows of a file.
func (r *run) wantPayloads(file ingest.FileID, batches []*ingest.Batch) {
	r.Helper()
	var segments []ingest.NewSegment
	for _, b := range batches {
		segments = append(segments, b.Segments...)
	}
	pieces := list(r.T, r.Segments(r.Context(), file))
	want(r.T, "segments", len(pieces), len(segments))
	for i, piece := range pieces {
		got, err := r.rows().ReadPayload(r.Context(), piece, nil)
		must(r.T, err)
		if piece.Offset != segments[i].Offset || !slices.Equal(got, segments[i].Payload) {
			r.Errorf("segment %d, at %d, has another payload", i, piece.Offset)
		}
	}
}

// wantBeginnings looks at a catalogue in which others write: what a file is said to have recorded is there, without a gap.
func wantBeginnings(ctx context.Context, c ingest.Catalog) error {
	for model, err := range c.Models(ctx) {
		if err != nil {
			return err
		}
		at := int64(0)
		for piece, err := range c.Segments(ctx, model.Files[0].ID) {
			if err != nil {
				return err
			}
			if piece.Offset != at {
				break // of rows that were committed meanwhile, some are seen
			}
			at += piece.Bytes
		}
		if at < model.Files[0].Recorded {
			return fmt.Errorf("model %d has %d bytes recorded, and rows for the first %d", model.ID, model.Files[0].Recorded, at)
		}
	}
	return nil
}

var turnTests = []test{
	{name: "batches that are written at once", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.begin(w)
		batches := w.payloadBatches(e, 0)
		must(t, errors.Join(r.recordAtOnce(t.Context(), batches)...))
		r.wantPayloads(e.Files[0].ID, batches)
		must(t, errors.Join(r.recordAtOnce(t.Context(), batches)...)) // once more, as after lost answers
		r.wantPayloads(e.Files[0].ID, batches)
		id, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		must(t, err)
		want(t, "bytes", r.summary(id).BytesStored, w.sources[0].Bytes)
		r.check()
	}},
	{name: "several files, through several handles, with the same content", run: func(t *testing.T, db Database) {
		var group errgroup.Group
		for i := range 2 {
			r := start(t, db(t), fmt.Sprint("/", i))
			w := newWork(fmt.Sprint("m", i), gguf(fmt.Sprintf("/%d.gguf", i), "the same"), gguf(fmt.Sprintf("/own%d.gguf", i), fmt.Sprint("own ", i)))
			e := r.begin(w)
			for file := range w.sources {
				group.Go(func() error { return errors.Join(r.recordAtOnce(t.Context(), w.payloadBatches(e, file))...) })
			}
		}
		must(t, group.Wait())
		must(t, Check(t.Context(), db(t), nil))
	}},
	{name: "what is recorded is a beginning at any moment", run: func(t *testing.T, db Database) {
		r, reader := start(t, db(t), "/a"), db(t)
		ctx, stop := context.WithCancel(t.Context())
		var group errgroup.Group
		group.Go(func() error {
			for ctx.Err() == nil {
				if err := wantBeginnings(t.Context(), reader); err != nil {
					return err
				}
			}
			return nil
		})
		for i := range 3 {
			w := newWork(fmt.Sprint("m", i), gguf(fmt.Sprintf("/%d.gguf", i), fmt.Sprint(i)))
			must(t, errors.Join(r.recordAtOnce(t.Context(), w.payloadBatches(r.begin(w), 0))...))
		}
		stop()
		must(t, group.Wait())
	}},
	{name: "nothing after a batch that fails", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.begin(w)
		batches := w.payloadBatches(e, 0)
		bad := *batches[2]
		bad.Digest = ingest.Sum([]byte("only the last one has it"))
		failed := r.recordAtOnce(t.Context(), append(append(slices.Clone(batches[:2]), &bad), batches[3:]...))
		for i, err := range failed {
			want(t, fmt.Sprint("failure of batch ", i), err != nil, i >= 2)
		}
		r.wantPayloads(e.Files[0].ID, batches[:2])
		r.check()
		must(t, errors.Join(r.recordAtOnce(t.Context(), batches)...))
		r.wantPayloads(e.Files[0].ID, batches)
		r.check()
	}},
	{name: "nothing under a lease that was lost", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.begin(w)
		ask := claim("/a", 2)
		ask.HolderDead = func(ingest.Holder) bool { return true }
		_, err := r.Open(t.Context(), ask)
		must(t, err)
		failed := r.recordAtOnce(t.Context(), w.payloadBatches(e, 0))
		wantIs(t, failed[0], ingest.ErrLeaseLost)
		for _, err := range failed {
			wantError(t, err, "a batch")
		}
		r.wantPayloads(e.Files[0].ID, nil)
		r.check()
	}},
}
