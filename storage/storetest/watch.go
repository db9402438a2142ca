package storetest

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// wholePayloads reads a payload repeatedly while it is written, and checks that it is either complete
// or missing. During Replace it is never missing. The test repeats until a read happened during a
// write.
func wholePayloads(t *testing.T, s ingest.Store) {
	p := payload(4<<20+5, 8)
	digest, address := put(t, s, p)
	watch := func(mayMiss bool, write func()) (during int) {
		looking, written := make(chan struct{}), make(chan struct{})
		var begun atomic.Bool
		go func() {
			defer close(written)
			<-looking
			begun.Store(true)
			write()
		}()
		close(looking)
		for done := false; !done; {
			select {
			case <-written:
				done = true // after one more read
			default:
			}
			lookOnce(t, s, digest, address, p, mayMiss && !done)
			if !done && begun.Load() {
				during++
			}
		}
		return during
	}
	enough := func(verb string, once func() (during int)) {
		looks := 0
		for round := range 100 {
			if looks += once(); round >= 4 && looks > 0 {
				t.Logf("%s: %d reads during the writes", verb, looks)
				return
			}
		}
		t.Errorf("%s: no read happened during a write", verb)
	}
	enough("Replace", func() int {
		return watch(false, func() {
			retry(t, "Replace", func() error { _, err := s.Replace(t.Context(), digest, address, p); return err })
		})
	})
	enough("Put", func() int {
		removeAll(t, s)
		return watch(true, func() {
			retry(t, "Put", func() error { _, err := s.Put(t.Context(), keyOf(digest), p); return err })
		})
	})
}

func lookOnce(t *testing.T, s ingest.Store, digest ingest.Digest, address ingest.Address, want []byte, mayMiss bool) {
	got, err := get(t.Context(), s, digest, address)
	switch {
	case err == nil && bytes.Equal(got, want), isTransient(err):
	case errors.Is(err, ingest.ErrNoPayload) && mayMiss:
	case err == nil:
		t.Errorf("Get during a write returned %d wrong bytes", len(got))
	default:
		t.Errorf("Get during a write: %v", err)
	}
	for object, err := range s.List(t.Context()) {
		if err != nil {
			t.Errorf("List: %v", err)
		} else if !object.Digest.IsZero() && object.Bytes != int64(len(want)) {
			t.Errorf("List yielded %d bytes for a payload of %d", object.Bytes, len(want))
		}
	}
}

// retry calls act until it succeeds or fails with an error that is not transient. On Windows, for
// example, a file that is being read cannot be replaced.
func retry(t *testing.T, verb string, act func() error) {
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
