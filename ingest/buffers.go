package ingest

import (
	"context"
	"sync"
	"unsafe"
)

// pageBytes is the alignment of buffers, so that a store may write them past the
// system's cache (O_DIRECT).
const pageBytes = 4096

// pool lends buffers of one size, never more than its number at once: this is
// where a run's memory is bounded.
type pool struct {
	free  chan []byte // returned buffers
	unmet chan struct{}
	bytes int64
}

func newPool(number int, bytes int64) *pool {
	p := &pool{free: make(chan []byte, number), unmet: make(chan struct{}, number), bytes: bytes}
	for range number {
		p.unmet <- struct{}{} // the right to allocate one
	}
	return p
}

// get waits for a buffer.
func (p *pool) get(ctx context.Context) ([]byte, error) {
	if b := p.try(); b != nil {
		return b, nil
	}
	select {
	case b := <-p.free:
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// try returns nil if no buffer is free now.
func (p *pool) try() []byte {
	select {
	case b := <-p.free:
		return b
	default:
	}
	select {
	case <-p.unmet:
		return alignedBytes(p.bytes)
	default:
		return nil
	}
}

func (p *pool) put(b []byte) { p.free <- b }

// alignedBytes allocates n bytes that begin on a page.
func alignedBytes(n int64) []byte {
	b := make([]byte, n+pageBytes)
	skip := 0
	if off := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % pageBytes); off != 0 {
		skip = pageBytes - off
	}
	return b[skip : skip+int(n) : skip+int(n)]
}

// loan is what one file has borrowed from the pool. A file that fails gives
// everything back at once, wherever in its channels the buffers are.
type loan struct {
	pool *pool
	mu   sync.Mutex
	out  map[*byte][]byte
}

func (p *pool) loan() *loan { return &loan{pool: p, out: map[*byte][]byte{}} }

func (l *loan) get(ctx context.Context) ([]byte, error) {
	b, err := l.pool.get(ctx)
	if err == nil {
		l.note(b)
	}
	return b, err
}

func (l *loan) try() []byte {
	b := l.pool.try()
	if b != nil {
		l.note(b)
	}
	return b
}

func (l *loan) note(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out[unsafe.SliceData(b)] = b
}

func (l *loan) put(b []byte) {
	l.mu.Lock()
	delete(l.out, unsafe.SliceData(b))
	l.mu.Unlock()
	l.pool.put(b)
}

// close returns all that is still out. The goroutines that used it have ended.
func (l *loan) close() {
	for _, b := range l.out {
		l.pool.put(b)
	}
	clear(l.out)
}
