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

// However many borrow, no more bytes are out than the pool lends, and each buffer begins on a page.
func TestPoolHoldsItsLimit(t *testing.T) {
	const size, others, limit = 5000, 3000, 3*5000 + 3000
	p := New(limit)
	var out, most atomic.Int64
	note := func(n int64) {
		now := out.Add(n)
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
				note(n + beside)
				if int64(len(b)) != n || cap(b) != len(b) || uintptr(unsafe.Pointer(&b[0]))%pageBytes != 0 {
					t.Errorf("buffer of %d, capacity %d at %p", len(b), cap(b), b)
				}
				note(-n - beside)
				l.Release(beside)
				l.Put(b)
			}
		})
	}
	group.Wait()
	if most.Load() > limit {
		t.Errorf("%d bytes were out, of %d", most.Load(), limit)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lent != 0 || p.free > limit || !p.room.TryAcquire(limit) {
		t.Errorf("%d bytes are still lent, and %d kept, of %d", p.lent, p.free, limit)
	}
}

// A returned buffer is lent again, and one of another size makes room.
func TestPoolKeepsBuffers(t *testing.T) {
	p := New(100)
	l := p.Lease()
	first := l.Try(60)
	first[0] = 7
	l.Put(first)
	if again := l.Try(60); &again[0] != &first[0] || again[0] != 7 {
		t.Error("a buffer that was returned is not lent again")
	} else {
		l.Put(again)
	}
	if l.Try(70) == nil || p.free != 0 {
		t.Errorf("%d bytes are kept beside 70 lent ones, of 100", p.free)
	}
	if l.Try(31) != nil {
		t.Error("101 bytes were lent of 100")
	}
}

// A borrower waits until there is room, or until its context ends, whose cause is then the error.
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
		first.Close() // of a file that failed with the buffer in some channel
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
			t.Error("what was closed did not come back")
		}
	})
}

// A request that can never be met is refused, with what would do.
func TestPoolTooSmall(t *testing.T) {
	var small *TooSmallError
	_, err := ForMemory(50<<20).Lease().Get(t.Context(), 16<<20)
	if !errors.As(err, &small) || !strings.Contains(err.Error(), "limit of 50 MiB") ||
		!strings.Contains(err.Error(), "at least 56 MiB") {
		t.Errorf("16 MiB of a process of 50: %v", err)
	}
	if ForMemory(0).Limit() != DefaultMemory-Reserved || ForMemory(1).Limit() != 0 {
		t.Error("the limit is not what is left beside the reserve")
	}
}
