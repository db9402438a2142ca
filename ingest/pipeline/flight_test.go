package pipeline

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hartonomous/ingest/ingest"
)

// TestFlight: one at a time for each key, whoever comes.
func TestFlight(t *testing.T) {
	var f flight[int]
	var inside [3]atomic.Int64
	var done atomic.Int64
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			for range 100 {
				leave, err := f.enter(t.Context(), i%3)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside[i%3].Add(1); n != 1 {
					t.Errorf("%d at once with one key", n)
				}
				inside[i%3].Add(-1)
				done.Add(1)
				leave()
			}
		})
	}
	group.Wait()
	if done.Load() != 1200 || len(f.busy) != 0 {
		t.Errorf("%d came in, %d keys are held", done.Load(), len(f.busy))
	}
}

// TestFlightWaits: a second one waits for the first, unless its context ends; other keys do not wait.
func TestFlightWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flight[string]
		leave, err := f.enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		other, err := f.enter(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		other()
		reason := errors.New("reason")
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 2)
		for _, ctx := range []context.Context{ctx, t.Context()} {
			go func() {
				leave, err := f.enter(ctx, "a")
				if err == nil {
					leave()
				}
				ended <- err
			}()
		}
		synctest.Wait()
		if len(ended) != 0 {
			t.Fatalf("entered a key that is held: %v", <-ended)
		}
		cancel(reason)
		if err := <-ended; err != reason {
			t.Errorf("waiting ended with %v", err)
		}
		leave()
		if err := <-ended; err != nil {
			t.Errorf("waiting ended with %v", err)
		}
	})
}

// TestCurrent: the file that was begun first of those at hand, though one path is there twice.
func TestCurrent(t *testing.T) {
	var p ingest.Progress
	var seen []string
	look := func() { seen = append(seen, p.Current()) }
	look()
	for _, path := range []string{"a", "b", "a"} {
		p.Begin(path)
	}
	look()
	for _, path := range []string{"a", "unknown", "b", "a"} {
		p.End(path)
		look()
	}
	if want := []string{"", "a", "b", "b", "a", ""}; !slices.Equal(seen, want) {
		t.Errorf("at hand were %q, want %q", seen, want)
	}
}
