// Package buffer bounds the memory that a process takes for payloads. One Pool serves the whole process:
// what ingests, verifies, exports and copies takes its buffers from there and gives them back.
package buffer

import (
	"context"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sync/semaphore"
)

// pageBytes is the alignment of buffers, so that a store may write them past the system's cache (O_DIRECT).
const pageBytes = 4096

// Pool lends buffers, never more than its limit at once. Returned buffers are kept for the next borrower and are not
// cleared. Its methods may be called by many goroutines.
type Pool struct {
	limit  int64
	memory int64               // of the whole process
	room   *semaphore.Weighted // bytes that may still be lent

	mu   sync.Mutex
	lent int64
	kept [][]byte // free ones, the last returned last
	free int64    // their bytes
}

// DefaultMemory is the memory limit of a process that names none, in bytes.
const DefaultMemory = 96 << 20

// Reserved is what a process needs beside its buffers: the runtime, the catalogue's cache, the rows of
// open batches. Measured, not
// derived.
const Reserved = 40 << 20

// ForMemory returns the pool of a process that may hold memory bytes in all; DefaultMemory if zero or less.
func ForMemory(memory int64) *Pool {
	if memory <= 0 {
		memory = DefaultMemory
	}
	p := New(max(0, memory-Reserved))
	p.memory = memory
	return p
}

// New returns a pool that lends at most limit bytes at once.
func New(limit int64) *Pool {
	return &Pool{limit: limit, memory: limit + Reserved, room: semaphore.NewWeighted(limit)}
}

// Limit returns how many bytes the pool lends at most.
func (p *Pool) Limit() int64 { return p.limit }

// A TooSmallError says that a request is larger than the pool.
type TooSmallError struct {
	Memory, Need int64 // the memory limit, and the least that it has to be, in bytes
}

func (e *TooSmallError) Error() string {
	return fmt.Sprintf("a memory limit of %d MiB is too small for segments of this size: allow at least %d MiB",
		e.Memory>>20, (e.Need+1<<20-1)>>20)
}

// take hands out a buffer of size bytes, for which the caller has acquired the room.
func (p *Pool) take(size int64) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lent += size
	for i := len(p.kept) - 1; i >= 0; i-- {
		if b := p.kept[i]; int64(len(b)) == size {
			p.kept = append(p.kept[:i], p.kept[i+1:]...)
			p.free -= size
			return b
		}
	}
	p.shrink()
	return aligned(size)
}

// shrink drops kept buffers, the oldest first, until they and what is lent stay below the limit together.
func (p *Pool) shrink() {
	for len(p.kept) > 0 && p.lent+p.free > p.limit {
		p.free -= int64(len(p.kept[0]))
		p.kept = p.kept[1:]
	}
}

func (p *Pool) put(b []byte) {
	p.mu.Lock()
	p.lent -= int64(len(b))
	p.free += int64(len(b))
	p.kept = append(p.kept, b)
	p.mu.Unlock()
	p.room.Release(int64(len(b)))
}

// aligned allocates n bytes that begin on a page.
func aligned(n int64) []byte {
	b := make([]byte, n+pageBytes)
	skip := int64(0)
	if off := int64(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % pageBytes); off != 0 {
		skip = pageBytes - off
	}
	return b[skip : skip+n : skip+n]
}

// Lease is what one borrower has out. Closing it returns everything at once, wherever the borrower left it.
type Lease struct {
	pool *Pool
	mu   sync.Mutex
	out  map[*byte][]byte
	held int64 // bytes of Hold
}

// Lease begins to borrow.
func (p *Pool) Lease() *Lease { return &Lease{pool: p, out: map[*byte][]byte{}} }

// Get waits for a buffer of size bytes. Its content is what the last borrower left.
func (l *Lease) Get(ctx context.Context, size int64) ([]byte, error) {
	if err := l.pool.acquire(ctx, size); err != nil {
		return nil, err
	}
	return l.note(l.pool.take(size)), nil
}

// Try is Get without waiting; nil if there is no room now.
func (l *Lease) Try(size int64) []byte {
	if !l.pool.room.TryAcquire(size) {
		return nil
	}
	return l.note(l.pool.take(size))
}

// GetBeside waits for a buffer of size bytes and for room for others' bytes beside it, such as the copies that a
// database driver makes. Room for the others is given back with Release. Both come at once: two borrowers that
// each waited for the second half would wait for ever.
func (l *Lease) GetBeside(ctx context.Context, size, others int64) ([]byte, error) {
	if err := l.pool.acquire(ctx, size+others); err != nil {
		return nil, err
	}
	l.hold(others)
	return l.note(l.pool.take(size)), nil
}

// Reserve waits for room for others' bytes alone. It is given back with Release.
func (l *Lease) Reserve(ctx context.Context, others int64) error {
	err := l.pool.acquire(ctx, others)
	if err == nil {
		l.hold(others)
	}
	return err
}

// Release gives room back that GetBeside or Reserve has taken for others.
func (l *Lease) Release(others int64) {
	l.hold(-others)
	l.pool.room.Release(others)
}

func (p *Pool) acquire(ctx context.Context, size int64) error {
	if size > p.limit {
		return &TooSmallError{Memory: p.memory, Need: size + Reserved}
	}
	if err := p.room.Acquire(ctx, size); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// hold counts others' bytes as lent.
func (p *Pool) hold(others int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lent += others
	p.shrink()
}

func (l *Lease) hold(others int64) {
	l.mu.Lock()
	l.held += others
	l.mu.Unlock()
	l.pool.hold(others)
}

func (l *Lease) note(b []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out[unsafe.SliceData(b)] = b
	return b
}

// Put returns a buffer.
func (l *Lease) Put(b []byte) {
	l.mu.Lock()
	delete(l.out, unsafe.SliceData(b))
	l.mu.Unlock()
	l.pool.put(b)
}

// Close returns all that is still out. The goroutines that used it have ended.
func (l *Lease) Close() {
	for _, b := range l.out {
		l.pool.put(b)
	}
	clear(l.out)
	if l.held > 0 {
		l.Release(l.held)
	}
}
