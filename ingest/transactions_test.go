package ingest_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlite"
)

// serial is a TurnTaker whose batches are what a test makes of them: record has the batch's number, from 0, and writes it.
type serial struct {
	*sqlite.Catalog
	rows   ingest.RowStore
	record func(ctx context.Context, number int, write func() error) error

	mu      sync.Mutex
	numbers map[int64]int // by where the batch begins
}

// RecordInTurn implements ingest.TurnTaker.
func (s *serial) RecordInTurn(ctx context.Context, lease ingest.Lease, batch *ingest.Batch, turn *ingest.Turn) error {
	if err := turn.Begin(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	if s.numbers == nil {
		s.numbers = map[int64]int{}
	}
	if _, known := s.numbers[batch.From]; !known {
		s.numbers[batch.From] = len(s.numbers)
	}
	number := s.numbers[batch.From]
	s.mu.Unlock()
	turn.Locked()
	return s.record(ctx, number, func() error {
		if err := turn.End(ctx); err != nil {
			return err
		}
		return s.rows.RecordPayloads(ctx, lease, batch)
	})
}

// inThree has h's batches written by three transactions, in the way of record.
func inThree(h *home, record func(ctx context.Context, number int, write func() error) error) *ingest.Ingester {
	in := h.ingester(ingest.Options{SegmentBytes: mib, MemoryBytes: 51 * mib}) // eight buffers, beside what a driver copies
	catalog := h.catalog.(*inTurn)
	in.Catalog = &serial{Catalog: catalog.Catalog, rows: catalog.rows, record: record}
	return in
}

// TestTransactionsAtOnce: three batches are written at the same time and no more, each with its share of the buffers.
func TestTransactionsAtOnce(t *testing.T) {
	h := turnsHome(t)
	three := make(chan struct{})
	var mu sync.Mutex
	entered, at := 0, 0
	in := inThree(h, func(_ context.Context, _ int, write func() error) error {
		mu.Lock()
		entered, at = entered+1, at+1
		if entered == 3 {
			close(three)
		}
		if at > 3 {
			t.Errorf("%d batches at once", at)
		}
		mu.Unlock()
		defer func() {
			mu.Lock()
			at--
			mu.Unlock()
		}()
		select {
		case <-three:
			return write()
		case <-time.After(20 * time.Second):
			return errors.New("there are no three batches at once")
		}
	})
	in.Catalog = &watched{Catalog: in.Catalog, RowStore: in.Catalog.(ingest.RowStore), see: func(b *ingest.Batch) {
		if share := int64(8 / (3 + 1) * mib); b.To-b.From > share { // three are written, and one is read
			t.Errorf("a batch of %d bytes, and its share of the buffers is %d", b.To-b.From, share)
		}
	}}
	report, err := run(t, t.Context(), in, file(blob(t, filepath.Join(t.TempDir(), "blob"), 20*mib, 1)))
	if err != nil || len(report.Ingested) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	h.check(t)
	h.giveBack(t)
}

// TestFirstCauseIsTold: the batch that failed is named, and none of those that could not go on because of it.
func TestFirstCauseIsTold(t *testing.T) {
	for range 20 {
		h := turnsHome(t)
		in := inThree(h, func(_ context.Context, number int, write func() error) error {
			if number == 1 {
				return errFault
			}
			return write()
		})
		_, err := run(t, t.Context(), in, file(blob(t, filepath.Join(t.TempDir(), "blob"), 20*mib, 1)))
		if !errors.Is(err, errFault) || !strings.Contains(err.Error(), "record bytes 2097152 to 4194304") {
			t.Fatalf("the run ended with %v", err)
		}
		h.check(t)
		if got := h.models(t)[0].Files[0].Recorded; got != 2*mib {
			t.Errorf("%d bytes are recorded before a batch that failed at %d", got, 2*mib)
		}
	}
}

// TestTimeOfABatch: a batch has two minutes from when the one before it is recorded.
func TestTimeOfABatch(t *testing.T) {
	for name, test := range map[string]struct {
		takes  time.Duration
		passes bool
	}{"long": {90 * time.Second, true}, "without end": {time.Hour, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := turnsHome(t)
				one := make(chan struct{}, 1)
				in := inThree(h, func(ctx context.Context, number int, write func() error) error {
					for {
						one <- struct{}{} // they wait for each other, as in a server that is slow
						select {
						case <-time.After(test.takes):
						case <-ctx.Done():
						}
						<-one
						if ctx.Err() != nil {
							return ctx.Err()
						}
						if err := write(); !errors.Is(err, ingest.ErrOutOfTurn) {
							return err
						}
					}
				})
				begun := time.Now()
				report, err := in.Run(t.Context(), claim(), ingest.Found{Sources: []ingest.Source{file(blob(t, filepath.Join(t.TempDir(), "blob"), 5*mib, 1))}})
				if test.passes {
					if err != nil || len(report.Ingested) != 1 {
						t.Errorf("%+v, %v", report, err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), "did not take a batch within 2m0s") || time.Since(begun) > 3*time.Minute {
					t.Errorf("after %s: %v", time.Since(begun), err)
				}
			})
		})
	}
}

// TestTransactionsRefused: several at once are refused where batches of a file go one at a time.
func TestTransactionsRefused(t *testing.T) {
	for _, kind := range []func(*testing.T) *home{storeHome, rowHome} {
		h := kind(t)
		h.transactions = 2
		if report, err := run(t, t.Context(), h.ingester(few), file(blob(t, filepath.Join(t.TempDir(), "blob"), mib, 1))); err == nil {
			t.Errorf("%+v", report)
		}
	}
	if err := (ingest.Options{Transactions: 17}).Check(); err == nil {
		t.Error("seventeen at once were accepted")
	}
}
