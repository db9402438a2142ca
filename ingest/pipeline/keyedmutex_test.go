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

// TestKeyedMutex: one goroutine at a time holds a key.
func TestKeyedMutex(t *testing.T) {
	var m keyedMutex[int]
	var inside [3]atomic.Int64
	var done atomic.Int64
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			for range 100 {
				unlock, err := m.Lock(t.Context(), i%3, func() {})
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
		t.Errorf("%d locked, %d keys are still held", done.Load(), len(m.locked))
	}
}

// TestKeyedMutexWaits: Lock waits until the key is free or its context ends. Other keys are free.
func TestKeyedMutexWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m keyedMutex[string]
		unlock, err := m.Lock(t.Context(), "a", func() {})
		if err != nil {
			t.Fatal(err)
		}
		other, err := m.Lock(t.Context(), "b", func() {})
		if err != nil {
			t.Fatal(err)
		}
		other()
		reason := errors.New("reason")
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 2)
		for _, ctx := range []context.Context{ctx, t.Context()} {
			go func() {
				unlock, err := m.Lock(ctx, "a", func() {})
				if err == nil {
					unlock()
				}
				ended <- err
			}()
		}
		synctest.Wait()
		if len(ended) != 0 {
			t.Fatalf("locked a key that is held: %v", <-ended)
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

// TestCurrent: Current is the file that began first and has not ended, even if a path began twice.
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
		t.Errorf("current files %q, want %q", seen, want)
	}
}
