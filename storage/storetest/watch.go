package storetest

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// wholePayloads reads a digest again and again while it is being written: it is
// there whole, or it is not there. While it is replaced it is always there.
func wholePayloads(t *testing.T, s ingest.Store) {
	p := payload(4<<20+5, 8)
	digest, address := put(t, s, p)
	var asked atomic.Int64
	watch := func(mayMiss bool, write func()) {
		written := make(chan struct{})
		go func() {
			defer close(written)
			write()
		}()
		for done := false; !done; {
			select {
			case <-written:
				done = true // and look once more
			default:
			}
			lookOnce(t, s, digest, address, p, mayMiss && !done)
			asked.Add(1)
		}
	}
	watch(false, func() {
		for range 5 {
			again(t, "Replace", func() error { _, err := s.Replace(t.Context(), digest, p); return err })
		}
	})
	sweeper, ok := s.(ingest.Sweeper)
	if !ok {
		return
	}
	for range 5 {
		removeAll(t, sweeper)
		watch(true, func() {
			again(t, "Put", func() error { _, err := s.Put(t.Context(), digest, p); return err })
		})
	}
	t.Logf("looked %d times while it was written", asked.Load())
}

func lookOnce(t *testing.T, s ingest.Store, digest ingest.Digest, address ingest.Address, want []byte, mayMiss bool) {
	got, err := s.Get(t.Context(), digest, address, nil)
	switch {
	case err == nil && bytes.Equal(got, want), isTransient(err):
	case errors.Is(err, ingest.ErrNoPayload) && mayMiss:
	case err == nil:
		t.Errorf("a reader saw %d other bytes", len(got))
	default:
		t.Errorf("a reader of a payload that is being written: %v", err)
	}
	sweeper, ok := s.(ingest.Sweeper)
	if !ok {
		return
	}
	for stray, err := range sweeper.Sweep(t.Context()) {
		if err != nil {
			t.Errorf("Sweep: %v", err)
		} else if !stray.Digest.IsZero() && stray.Bytes != int64(len(want)) {
			t.Errorf("Sweep saw %d bytes under the digest of %d", stray.Bytes, len(want))
		}
	}
}

// again calls act until it succeeds: a driver may say that an error is
// transient, as on Windows where a file that is being read cannot be replaced.
func again(t *testing.T, verb string, act func() error) {
	for {
		err := act()
		if err == nil {
			return
		}
		if !isTransient(err) {
			t.Errorf("%s: %v", verb, err)
			return
		}
	}
}

func isTransient(err error) bool {
	var says interface{ Transient() bool }
	return errors.As(err, &says) && says.Transient()
}

func removeAll(t *testing.T, sweeper ingest.Sweeper) {
	t.Helper()
	for _, stray := range strays(t, sweeper) {
		again(t, "Remove", func() error { return sweeper.Remove(t.Context(), stray) })
	}
}
