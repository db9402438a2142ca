// Package buffer bounds the memory of a process for payloads. The whole process uses one Pool.
package buffer

import (
	"context"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sync/semaphore"
)

// pageBytes is the alignment of buffers, so that a store can write them with O_DIRECT.
const pageBytes = 4096

// Pool lends buffers up to its limit. It reuses returned buffers and does not clear them. Its
// methods are safe for concurrent use.
type Pool struct {
	limit     int64
	memory    int64               // of the whole process
	available *semaphore.Weighted // bytes

	mu        sync.Mutex
	lent      int64
	free      [][]byte // oldest first
	freeBytes int64
}

// DefaultMemory is the default memory limit of a process, in bytes.
const DefaultMemory = 96 << 20

// Reserved is the memory in bytes that a process needs besides its buffers: the runtime, the
// catalogue's cache, the rows of open batches. It was measured, not derived.
const Reserved = 40 << 20

// RowCopies is the number of copies that a database driver makes of a payload while it reads it from a
// row, or writes it to one. It was measured with SQLite, not derived.
const RowCopies = 3

// ForMemory returns a pool for a process with a limit of memory bytes, or DefaultMemory if it is
// zero or less.
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
	return &Pool{limit: limit, memory: limit + Reserved, available: semaphore.NewWeighted(limit)}
}

// Limit returns the maximum number of bytes lent at once.
func (p *Pool) Limit() int64 { return p.limit }

// A TooSmallError says that a request is larger than the pool.
type TooSmallError struct {
	Memory, Need int64 // the memory limit and the required one, in bytes
}

func (e *TooSmallError) Error() string {
	return fmt.Sprintf("a memory limit of %s is too small for segments of this size: allow at least %d MiB",
		Size(e.Memory), (e.Need+1<<20-1)>>20)
}

// Size writes a memory limit in MiB, or in KiB or bytes if it is smaller. It rounds down.
func Size(bytes int64) string {
	switch {
	case bytes >= 1<<20:
		return fmt.Sprintf("%d MiB", bytes>>20)
	case bytes >= 1<<10:
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d B", bytes)
}

// take returns a buffer of size bytes. The caller has acquired them.
func (p *Pool) take(size int64) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lent += size
	for i := len(p.free) - 1; i >= 0; i-- {
		if b := p.free[i]; int64(len(b)) == size {
			p.free = append(p.free[:i], p.free[i+1:]...)
			p.freeBytes -= size
			return b
		}
	}
	p.shrink()
	return aligned(size)
}

// shrink drops free buffers, the oldest first, until free and lent bytes are below the limit.
func (p *Pool) shrink() {
	for len(p.free) > 0 && p.lent+p.freeBytes > p.limit {
		p.freeBytes -= int64(len(p.free[0]))
		p.free = p.free[1:]
	}
}

func (p *Pool) put(b []byte) {
	p.mu.Lock()
	p.lent -= int64(len(b))
	p.freeBytes += int64(len(b))
	p.free = append(p.free, b)
	p.mu.Unlock()
	p.available.Release(int64(len(b)))
}

// aligned allocates n bytes that start on a page.
func aligned(n int64) []byte {
	b := make([]byte, n+pageBytes)
	skip := int64(0)
	if off := int64(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % pageBytes); off != 0 {
		skip = pageBytes - off
	}
	return b[skip : skip+n : skip+n]
}

// Lease is the buffers and reservations of one borrower. Close returns all of them.
type Lease struct {
	pool     *Pool
	mu       sync.Mutex
	buffers  map[*byte][]byte
	reserved int64 // bytes
}

// Lease returns an empty lease.
func (p *Pool) Lease() *Lease { return &Lease{pool: p, buffers: map[*byte][]byte{}} }

// Get waits for a buffer of size bytes. Its content is undefined.
func (l *Lease) Get(ctx context.Context, size int64) ([]byte, error) {
	return l.GetBeside(ctx, size, 0)
}

// Try is like Get, but returns nil instead of waiting.
func (l *Lease) Try(size int64) []byte {
	if !l.pool.available.TryAcquire(size) {
		return nil
	}
	return l.add(l.pool.take(size))
}

// GetBeside waits for a buffer of size bytes and reserves others bytes, for example for the copies
// of a database driver. It acquires both at once: two borrowers that waited for their second half
// would deadlock. Release ends the reservation.
func (l *Lease) GetBeside(ctx context.Context, size, others int64) ([]byte, error) {
	if err := l.pool.acquire(ctx, size+others); err != nil {
		return nil, err
	}
	l.reserve(others)
	return l.add(l.pool.take(size)), nil
}

// Reserve waits until others bytes are available, and reserves them. Release ends the reservation.
func (l *Lease) Reserve(ctx context.Context, others int64) error {
	err := l.pool.acquire(ctx, others)
	if err == nil {
		l.reserve(others)
	}
	return err
}

// Release ends a reservation of others bytes by GetBeside or Reserve.
func (l *Lease) Release(others int64) {
	l.reserve(-others)
	l.pool.available.Release(others)
}

// Check returns a *TooSmallError if the pool is smaller than size bytes.
func (p *Pool) Check(size int64) error {
	if size > p.limit {
		return &TooSmallError{Memory: p.memory, Need: size + Reserved}
	}
	return nil
}

func (p *Pool) acquire(ctx context.Context, size int64) error {
	if err := p.Check(size); err != nil {
		return err
	}
	if err := p.available.Acquire(ctx, size); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// reserve counts acquired bytes as lent.
func (p *Pool) reserve(others int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lent += others
	p.shrink()
}

func (l *Lease) reserve(others int64) {
	l.mu.Lock()
	l.reserved += others
	l.mu.Unlock()
	l.pool.reserve(others)
}

func (l *Lease) add(b []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buffers[unsafe.SliceData(b)] = b
	return b
}

// Put returns a buffer.
func (l *Lease) Put(b []byte) {
	l.mu.Lock()
	delete(l.buffers, unsafe.SliceData(b))
	l.mu.Unlock()
	l.pool.put(b)
}

// Close returns all buffers and ends all reservations. No goroutine may still use them.
func (l *Lease) Close() {
	for _, b := range l.buffers {
		l.pool.put(b)
	}
	clear(l.buffers)
	if l.reserved > 0 {
		l.Release(l.reserved)
	}
}
