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

// TestKeyedMutex: one at a time for each key, whoever comes.
func TestKeyedMutex(t *testing.T) {
	var m keyedMutex[int]
	var inside [3]atomic.Int64
	var done atomic.Int64
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			for range 100 {
				unlock, err := m.Lock(t.Context(), i%3)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside[i%3].Add(1); n != 1 {
					t.Errorf("%d at once with one key", n)
				}
				inside[i%3].Add(-1)
				done.Add(1)
				unlock()
			}
		})
	}
	group.Wait()
	if done.Load() != 1200 || len(m.locked) != 0 {
		t.Errorf("%d came in, %d keys are held", done.Load(), len(m.locked))
	}
}

// TestKeyedMutexWaits: a second one waits for the first, unless its context ends; other keys do not wait.
func TestKeyedMutexWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m keyedMutex[string]
		unlock, err := m.Lock(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		other, err := m.Lock(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		other()
		reason := errors.New("reason")
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 2)
		for _, ctx := range []context.Context{ctx, t.Context()} {
			go func() {
				unlock, err := m.Lock(ctx, "a")
				if err == nil {
					unlock()
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
		unlock()
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
