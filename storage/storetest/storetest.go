// Package storetest is the contract of ingest.Store as tests that every store
// runs, and stores for the tests of others: Memory, which counts, Faulty, which
// fails when it is told to, and Discard, which keeps nothing.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// Run checks that a store keeps every promise of ingest.Store and, if it
// satisfies them, of ingest.Sweeper, Claimer, Placer, Prober, Announcer and FilePutter. open returns a store that
// holds nothing yet, a new one at each call.
func Run(t *testing.T, open func(t *testing.T) ingest.Store) {
	for name, test := range map[string]func(*testing.T, ingest.Store){
		"round trip":     roundTrip,
		"buffers":        buffers,
		"put twice":      putTwice,
		"put at once":    putAtOnce,
		"missing":        missing,
		"replace":        replace,
		"cancelled":      cancelled,
		"whole payloads": wholePayloads,
		"sweep":          sweep,
		"claim":          claim,
		"place":          place,
		"probe":          probe,
		"announce":       announce,
		"put file":       putFile,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Damager is what a store under test may satisfy, so that Run can check what
// Replace does and what Get says where a payload was damaged.
type Damager interface {
	// Damage puts these bytes under digest, whatever they are.
	Damage(digest ingest.Digest, payload []byte)
}

// sizes are those around the pages that direct writes care for, and one that is
// larger than a segment and no whole number of pages.
var sizes = []int{0, 1, 4095, 4096, 4097, 1 << 20, 8<<20 + 13}

// payload returns bytes that no other seed gives.
func payload(size int, seed uint64) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	p := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(p) // it never fails
	return p
}

func put(t *testing.T, s ingest.Store, p []byte) (ingest.Digest, ingest.Address) {
	t.Helper()
	digest := ingest.Sum(p)
	address, err := s.Put(t.Context(), digest, p)
	if err != nil {
		t.Fatalf("Put of %d bytes: %v", len(p), err)
	}
	if address.URI == "" || address.Bytes != int64(len(p)) {
		t.Fatalf("Put of %d bytes returned the address %+v: want a URI and the size", len(p), address)
	}
	return digest, address
}

func wantPayload(t *testing.T, s ingest.Store, digest ingest.Digest, address ingest.Address, want []byte) {
	t.Helper()
	got, err := s.Get(t.Context(), digest, address, nil)
	if err != nil {
		t.Fatalf("Get of %d bytes: %v", len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("Get returned %d other bytes than the %d that were put", len(got), len(want))
	}
}

func roundTrip(t *testing.T, s ingest.Store) {
	for i, size := range sizes {
		p := payload(size, uint64(i))
		digest, address := put(t, s, p)
		wantPayload(t, s, digest, address, p)
		// From memory that begins at an odd address too.
		odd := payload(size+1, uint64(100+i))[1:]
		digest, address = put(t, s, odd)
		wantPayload(t, s, digest, address, odd)
	}
}

// buffers checks that Put keeps nothing of the payload's memory, and that Get
// uses a buffer that is large enough and grows one that is not.
func buffers(t *testing.T, s ingest.Store) {
	original := payload(10_000, 1)
	given := bytes.Clone(original)
	digest, address := put(t, s, given)
	if !bytes.Equal(given, original) {
		t.Fatal("Put changed the payload")
	}
	clear(given)
	for _, buffer := range [][]byte{nil, make([]byte, 5), make([]byte, 10_000), make([]byte, 3, 20_000)} {
		got, err := s.Get(t.Context(), digest, address, buffer)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, original) {
			t.Fatalf("Get into a buffer of %d, capacity %d: other bytes came back", len(buffer), cap(buffer))
		}
		if cap(buffer) >= len(original) && &got[0] != &buffer[0] {
			t.Errorf("Get made new memory although the buffer's capacity is %d", cap(buffer))
		}
	}
}

func putTwice(t *testing.T, s ingest.Store) {
	p := payload(100_000, 2)
	digest, first := put(t, s, p)
	_, second := put(t, s, p)
	if first.URI != second.URI {
		t.Errorf("the same payload went to %s and to %s", first.URI, second.URI)
	}
	wantPayload(t, s, digest, first, p)
	wantPayload(t, s, digest, second, p)
}

func putAtOnce(t *testing.T, s ingest.Store) {
	p := payload(1<<20+1, 3)
	digest := ingest.Sum(p)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			address, err := s.Put(t.Context(), digest, p)
			if err != nil {
				t.Errorf("Put: %v", err)
				return
			}
			got, err := s.Get(t.Context(), digest, address, nil)
			if err != nil || !bytes.Equal(got, p) {
				t.Errorf("Get of what this caller has put: %d bytes, %v", len(got), err)
			}
		})
	}
	group.Wait()
}

func missing(t *testing.T, s ingest.Store) {
	there := payload(1000, 4)
	_, address := put(t, s, there)
	absent := ingest.Sum([]byte("absent"))
	for name, address := range map[string]ingest.Address{"size alone": {Bytes: 6}, "empty": {}} {
		if _, err := s.Get(t.Context(), absent, address, nil); !errors.Is(err, ingest.ErrNoPayload) {
			t.Errorf("Get of a missing payload, address %s: %v, want ErrNoPayload", name, err)
		}
	}
	wantPayload(t, s, ingest.Sum(there), address, there)
}

func replace(t *testing.T, s ingest.Store) {
	p := payload(200_000, 5)
	digest := ingest.Sum(p)
	for _, state := range []string{"absent", "present"} {
		address, err := s.Replace(t.Context(), digest, p)
		if err != nil {
			t.Fatalf("Replace of a payload that is %s: %v", state, err)
		}
		wantPayload(t, s, digest, address, p)
	}
	_, address := put(t, s, p)
	wantPayload(t, s, digest, address, p)
	damager, ok := s.(Damager)
	if !ok {
		return
	}
	for what, damage := range map[string][]byte{"other bytes": make([]byte, len(p)), "fewer bytes": p[:100], "more bytes": append(p, 0), "none": {}} {
		damager.Damage(digest, damage)
		if _, err := s.Get(t.Context(), digest, address, nil); len(damage) != len(p) && (err == nil || errors.Is(err, ingest.ErrNoPayload)) {
			t.Errorf("Get of a payload with %s: %v, want an error that does not say that it is missing", what, err)
		}
		address, err := s.Replace(t.Context(), digest, p)
		if err != nil {
			t.Fatalf("Replace of a payload with %s: %v", what, err)
		}
		wantPayload(t, s, digest, address, p)
	}
}

func cancelled(t *testing.T, s ingest.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	there := payload(1000, 6)
	digest, address := put(t, s, there)
	if _, err := s.Get(ctx, digest, address, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Get with a cancelled context: %v", err)
	}
	p := payload(1000, 7)
	if _, err := s.Put(ctx, ingest.Sum(p), p); !errors.Is(err, context.Canceled) {
		t.Errorf("Put with a cancelled context: %v", err)
	}
	if _, err := s.Replace(ctx, ingest.Sum(p), p); !errors.Is(err, context.Canceled) {
		t.Errorf("Replace with a cancelled context: %v", err)
	}
	digest, address = put(t, s, p)
	wantPayload(t, s, digest, address, p)
}
