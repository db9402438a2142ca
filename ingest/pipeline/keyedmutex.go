package pipeline

import (
	"context"
	"sync"
)

// keyedMutex is a mutex for each key. With it, two equal payloads in flight are stored once: the
// second waits, and then finds the first one's bytes, or stores them if the first failed.
type keyedMutex[K comparable] struct {
	mu     sync.Mutex
	locked map[K]chan struct{} // closed by unlock
}

// Lock locks key. It calls waits before it waits for another goroutine, and fails with ctx's cause if
// ctx ends first.
func (m *keyedMutex[K]) Lock(ctx context.Context, key K, waits func()) (unlock func(), err error) {
	for {
		m.mu.Lock()
		if m.locked == nil {
			m.locked = map[K]chan struct{}{}
		}
		unlocked, taken := m.locked[key]
		if !taken {
			unlocked = make(chan struct{})
			m.locked[key] = unlocked
			m.mu.Unlock()
			return func() {
				m.mu.Lock()
				delete(m.locked, key)
				m.mu.Unlock()
				close(unlocked)
			}, nil
		}
		m.mu.Unlock()
		waits()
		select {
		case <-unlocked:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
