package pipeline

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"unsafe"
)

// TestPoolHoldsItsNumber: however many ask, no more buffers are out than the pool has, and a page is where each begins.
func TestPoolHoldsItsNumber(t *testing.T) {
	const number, size = 3, 5000
	p := newPool(number, size)
	var out, most atomic.Int64
	seen := sync.Map{}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			l := p.loan()
			defer l.close()
			for range 200 {
				b, err := l.get(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if now := out.Add(1); now > most.Load() {
					most.Store(now)
				}
				if len(b) != size || cap(b) != size || uintptr(unsafe.Pointer(&b[0]))%pageBytes != 0 {
					t.Errorf("buffer of %d, capacity %d at %p", len(b), cap(b), b)
				}
				seen.Store(&b[0], true)
				out.Add(-1)
				l.put(b)
			}
		})
	}
	group.Wait()
	distinct := 0
	seen.Range(func(any, any) bool { distinct++; return true })
	if most.Load() > number || distinct > number {
		t.Errorf("%d buffers at once, %d different ones, of %d", most.Load(), distinct, number)
	}
	wantAllBack(t, p, number)
}

// wantAllBack fails unless number buffers can be had, and no more.
func wantAllBack(t *testing.T, p *pool, number int) {
	t.Helper()
	var all [][]byte
	for b := p.try(); b != nil; b = p.try() {
		all = append(all, b)
	}
	if len(all) != number {
		t.Errorf("the pool has %d buffers of %d", len(all), number)
	}
	for _, b := range all {
		p.put(b)
	}
}

// TestPoolWaits: who asks for a buffer waits until one comes back, or until the context ends, whose cause is then the error.
func TestPoolWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, 10)
		first, second := p.loan(), p.loan()
		if first.try() == nil || second.try() != nil {
			t.Fatal("a pool of one buffer does not lend exactly one")
		}
		got := make(chan error)
		go func() {
			_, err := second.get(t.Context())
			got <- err
		}()
		synctest.Wait()
		select {
		case err := <-got:
			t.Fatalf("a second buffer was lent: %v", err)
		default:
		}
		first.close() // a file that failed with the buffer in some channel
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		reason := errors.New("reason")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			_, err := first.get(ctx)
			got <- err
		}()
		synctest.Wait()
		cancel(reason)
		if err := <-got; err != reason {
			t.Errorf("waiting ended with %v", err)
		}
		second.close()
		second.close()
		wantAllBack(t, p, 1)
	})
}

// TestOptions: settings that cannot work together are found before anything is opened.
func TestOptions(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		options Options
		buffers int // 0: refused
	}{
		"defaults":             {Options{}, 7},
		"fewest":               {Options{MemoryBytes: 56 * mib}, 2},
		"too little memory":    {Options{MemoryBytes: 56*mib - 1}, 0},
		"none for buffers":     {Options{MemoryBytes: mib}, 0},
		"small segments":       {Options{SegmentBytes: mib, MemoryBytes: 42 * mib}, 2},
		"large segments":       {Options{SegmentBytes: 64 * mib, MemoryBytes: 168 * mib}, 2},
		"too large segments":   {Options{SegmentBytes: 64*mib + 1, MemoryBytes: 1 << 40}, 0},
		"too small segments":   {Options{SegmentBytes: mib - 1}, 0},
		"more than is of use":  {Options{SegmentBytes: mib, MemoryBytes: 1 << 50}, 1024},
		"negative is default":  {Options{SegmentBytes: -1, MemoryBytes: -1, Jobs: -1, Workers: -1, BatchRows: -1, BatchBytes: -1, BatchTime: -1}, 7},
		"segments beyond most": {Options{SegmentBytes: 1 << 62}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.options.Check()
			if (err == nil) != (c.buffers > 0) {
				t.Fatalf("Check: %v", err)
			}
			o := c.options.WithDefaults()
			if n, _ := o.buffers(0); err == nil && (n != c.buffers || n < 1024 && int64(n)*o.SegmentBytes+reservedBytes > o.MemoryBytes) {
				t.Errorf("%d buffers of %d bytes, want %d", n, o.SegmentBytes, c.buffers)
			}
			if o.Jobs < 1 || o.Workers < 4 || o.Workers > 16 || o.BatchRows < 1 || o.BatchBytes < 1 || o.BatchTime < 1 {
				t.Errorf("defaults %+v", o)
			}
		})
	}
}
