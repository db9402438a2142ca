package pipeline

import (
	"context"
	"sync"
)

// flight lets one caller at a time do the work for a key. It is how two equal
// payloads in flight are stored once: the second waits, and then finds the
// first one's bytes (or, if the first failed, stores them itself).
type flight[K comparable] struct {
	mu   sync.Mutex
	busy map[K]chan struct{}
}

// enter waits until nobody else holds key, and holds it until leave is called.
func (f *flight[K]) enter(ctx context.Context, key K) (leave func(), err error) {
	for {
		f.mu.Lock()
		if f.busy == nil {
			f.busy = map[K]chan struct{}{}
		}
		done, taken := f.busy[key]
		if !taken {
			done = make(chan struct{})
			f.busy[key] = done
			f.mu.Unlock()
			return func() {
				f.mu.Lock()
				delete(f.busy, key)
				f.mu.Unlock()
				close(done)
			}, nil
		}
		f.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
