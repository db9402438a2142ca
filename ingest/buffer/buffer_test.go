package buffer

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"unsafe"
)

// Concurrent borrowers never have more bytes than the limit, and each buffer starts on a page.
func TestPoolLimit(t *testing.T) {
	const size, others, limit = 5000, 3000, 3*5000 + 3000
	p := New(limit)
	var lent, most atomic.Int64
	count := func(n int64) {
		now := lent.Add(n)
		for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
		}
	}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			l := p.Lease()
			defer l.Close()
			for range 200 {
				n, beside := int64(size+i%2), int64(0)
				if i%4 == 0 {
					beside = others
				}
				b, err := l.GetBeside(t.Context(), n, beside)
				if err != nil {
					t.Error(err)
					return
				}
				count(n + beside)
				if int64(len(b)) != n || cap(b) != len(b) || uintptr(unsafe.Pointer(&b[0]))%pageBytes != 0 {
					t.Errorf("buffer of %d, capacity %d at %p", len(b), cap(b), b)
				}
				count(-n - beside)
				l.Release(beside)
				l.Put(b)
			}
		})
	}
	group.Wait()
	if most.Load() > limit {
		t.Errorf("%d bytes were lent of %d", most.Load(), limit)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lent != 0 || p.freeBytes > limit || !p.available.TryAcquire(limit) {
		t.Errorf("%d bytes are still lent, and %d free, of %d", p.lent, p.freeBytes, limit)
	}
}

// A returned buffer is reused for the same size, and dropped for another one.
func TestPoolReusesBuffers(t *testing.T) {
	p := New(100)
	l := p.Lease()
	first := l.Try(60)
	first[0] = 7
	l.Put(first)
	if again := l.Try(60); &again[0] != &first[0] || again[0] != 7 {
		t.Error("a returned buffer is not reused")
	} else {
		l.Put(again)
	}
	if l.Try(70) == nil || p.freeBytes != 0 {
		t.Errorf("%d bytes are free beside 70 lent ones of 100", p.freeBytes)
	}
	if l.Try(31) != nil {
		t.Error("101 bytes were lent of 100")
	}
}

// Get waits until bytes are available or the context ends. The error is the context's cause.
func TestPoolWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(10)
		first, second := p.Lease(), p.Lease()
		if first.Try(10) == nil || second.Try(1) != nil {
			t.Fatal("a pool of ten bytes does not lend exactly ten")
		}
		got := make(chan error)
		go func() {
			_, err := second.Get(t.Context(), 10)
			got <- err
		}()
		synctest.Wait()
		select {
		case err := <-got:
			t.Fatalf("more was lent: %v", err)
		default:
		}
		first.Close() // like a file that fails while a channel has its buffer
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		reason := errors.New("reason")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { got <- first.Reserve(ctx, 1) }()
		synctest.Wait()
		cancel(reason)
		if err := <-got; err != reason {
			t.Errorf("waiting ended with %v", err)
		}
		second.Close()
		second.Close()
		if first.Try(10) == nil {
			t.Error("Close did not return the buffer")
		}
	})
}

// Close ends reservations, too.
func TestCloseEndsReservations(t *testing.T) {
	p := New(10)
	l := p.Lease()
	if _, err := l.GetBeside(t.Context(), 3, 4); err != nil {
		t.Fatal(err)
	}
	if err := l.Reserve(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if p.lent != 0 || p.Lease().Try(10) == nil {
		t.Errorf("%d bytes are still lent", p.lent)
	}
}

// A request that is larger than the pool fails with the required memory limit.
func TestPoolTooSmall(t *testing.T) {
	var small *TooSmallError
	_, err := ForMemory(50<<20).Lease().Get(t.Context(), 16<<20)
	if !errors.As(err, &small) || !strings.Contains(err.Error(), "limit of 50 MiB") ||
		!strings.Contains(err.Error(), "at least 56 MiB") {
		t.Errorf("16 MiB of a process of 50: %v", err)
	}
	if ForMemory(0).Limit() != DefaultMemory-Reserved || ForMemory(1).Limit() != 0 {
		t.Error("the limit is not the memory without the reserve")
	}
}
