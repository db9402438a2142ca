// Package storetest tests implementations of ingest.Store: Run is the suite of the contract. It also
// has stores for other tests: Memory, which counts calls, Faulty, which fails on purpose, and
// Discard, which stores nothing.
package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// Open returns another handle on the same store, as another process would have. step, if not nil, is
// called between every two steps with which the handle changes the store. It may block; if it
// returns an error, the call ends there, as if the process was killed.
type Open func(t *testing.T, step func() error) ingest.Store

// Run tests the contract of ingest.Store. place creates an empty store at each call.
func Run(t *testing.T, place func(t *testing.T) Open) {
	for name, test := range map[string]func(*testing.T, ingest.Store){
		"round trip":     roundTrip,
		"ranges":         ranges,
		"buffers":        buffers,
		"put twice":      putTwice,
		"put at once":    putAtOnce,
		"positions":      positions,
		"missing":        missing,
		"stat":           stat,
		"holds":          holds,
		"reuse":          reuse,
		"encodings":      encodings,
		"replace":        replace,
		"cancelled":      cancelled,
		"whole payloads": wholePayloads,
		"list":           list,
		"delete":         deletes,
		"put back":       putBack,
	} {
		t.Run(name, func(t *testing.T) { test(t, place(t)(t, nil)) })
	}
	for name, test := range map[string]func(*testing.T, func(*testing.T) Open){
		"owner":  owner,
		"pauses": pauses,
		"kills":  kills,
	} {
		t.Run(name, func(t *testing.T) { test(t, place) })
	}
}

// Damager may be implemented by a store under test, so that Run can test Stat, Replace and Get with
// damaged payloads.
type Damager interface {
	// DamageAt replaces the payload at address with other bytes.
	DamageAt(digest ingest.Digest, address ingest.Address, payload []byte)
}

// sizes has sizes around the page size, which matters for direct writes, and one that is larger than
// a segment and not a multiple of the page size.
var sizes = []int{0, 1, 4095, 4096, 4097, 1 << 20, 8<<20 + 13}

// payload returns random bytes that depend on seed.
func payload(size int, seed uint64) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	p := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(p) // it never fails
	return p
}

// keyOf returns a key with a position that no other payload has.
func keyOf(digest ingest.Digest) ingest.Key {
	return ingest.Key{
		Digest:  digest,
		Model:   1,
		File:    1,
		Layer:   1,
		Ordinal: int(binary.BigEndian.Uint32(digest[:4]) >> 1),
	}
}

func put(t *testing.T, s ingest.Store, p []byte) (ingest.Digest, ingest.Address) {
	t.Helper()
	digest := ingest.Sum(p)
	return digest, putKey(t, s, keyOf(digest), p)
}

func putKey(t *testing.T, s ingest.Store, key ingest.Key, p []byte) ingest.Address {
	t.Helper()
	address, err := s.Put(t.Context(), key, p)
	if err != nil {
		t.Fatalf("Put of %d bytes: %v", len(p), err)
	}
	if address.URI == "" || address.Bytes != int64(len(p)) || address.Encoding != key.Encoding {
		t.Fatalf("Put of %d bytes returned the address %+v: want a URI, the size and the encoding", len(p), address)
	}
	return address
}

// get reads a whole payload.
func get(ctx context.Context, s ingest.Store, digest ingest.Digest, address ingest.Address) ([]byte, error) {
	into := make([]byte, address.Bytes)
	return into, s.Get(ctx, digest, address, 0, into)
}

func wantPayload(t *testing.T, s ingest.Store, digest ingest.Digest, address ingest.Address, want []byte) {
	t.Helper()
	got, err := get(t.Context(), s, digest, address)
	if err != nil {
		t.Fatalf("Get of %d bytes: %v", len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("Get returned %d bytes that differ from the %d that were put", len(got), len(want))
	}
}

func roundTrip(t *testing.T, s ingest.Store) {
	for i, size := range sizes {
		p := payload(size, uint64(i))
		digest, address := put(t, s, p)
		wantPayload(t, s, digest, address, p)
		// Memory at an odd address works too.
		odd := payload(size+1, uint64(100+i))[1:]
		digest, address = put(t, s, odd)
		wantPayload(t, s, digest, address, odd)
	}
}

// ranges checks reads of parts of a payload, and that parts outside of it are refused.
func ranges(t *testing.T, s ingest.Store) {
	p := payload(10_000, 30)
	digest, address := put(t, s, p)
	for _, part := range [][2]int64{
		{0, 1}, {0, 9_999}, {1, 9_999}, {5_000, 100}, {9_999, 1}, {0, 10_000}, {3, 0}, {10_000, 0},
	} {
		into := make([]byte, part[1])
		if err := s.Get(t.Context(), digest, address, part[0], into); err != nil ||
			!bytes.Equal(into, p[part[0]:part[0]+part[1]]) {
			t.Errorf("Get of %d bytes from %d: %v, or other bytes", part[1], part[0], err)
		}
	}
	for _, part := range [][2]int64{{1, 10_000}, {10_000, 1}, {10_001, 0}, {-1, 1}} {
		if err := s.Get(t.Context(), digest, address, part[0], make([]byte, part[1])); err == nil ||
			errors.Is(err, ingest.ErrNoPayload) {
			t.Errorf("Get of %d bytes from %d of 10,000: %v", part[1], part[0], err)
		}
	}
	absent := ingest.Sum([]byte("absent"))
	err := s.Get(t.Context(), absent, ingest.Address{Bytes: 100}, 10, make([]byte, 10))
	if !errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("Get of a part of a missing payload: %v", err)
	}
	for _, size := range []int64{9_999, 10_001, 20_000} { // rows with a wrong size
		wrong := address
		wrong.Bytes = size
		var damaged *ingest.SizeError
		if err := s.Get(t.Context(), digest, wrong, size-10, make([]byte, 10)); !errors.As(err, &damaged) ||
			damaged.Want != size ||
			damaged.Got == size {
			t.Errorf("Get of the last bytes of %d of a payload of 10,000: %v, want a SizeError", size, err)
		}
	}
}

// buffers checks that Put neither changes nor retains the memory of the payload.
func buffers(t *testing.T, s ingest.Store) {
	original := payload(10_000, 1)
	given := bytes.Clone(original)
	digest, address := put(t, s, given)
	if !bytes.Equal(given, original) {
		t.Fatal("Put changed the payload")
	}
	clear(given)
	wantPayload(t, s, digest, address, original)
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
			address, err := s.Put(t.Context(), keyOf(digest), p)
			if err != nil {
				t.Errorf("Put: %v", err)
				return
			}
			got, err := get(t.Context(), s, digest, address)
			if err != nil || !bytes.Equal(got, p) {
				t.Errorf("Get of what this caller has put: %d bytes, %v", len(got), err)
			}
		})
	}
	group.Wait()
}

// positions checks that rows with the same content have either one address or one each. In the
// second case, another payload for a row replaces the first, as after a run that ended before it
// recorded the row, and the other rows keep theirs.
func positions(t *testing.T, s ingest.Store) {
	if _, err := s.Owner(t.Context(), "catalogue"); err != nil {
		t.Fatal(err)
	}
	p, q := payload(100_000, 20), payload(70_000, 21)
	at := func(key ingest.Key, p []byte) ingest.Address {
		t.Helper()
		key.Digest = ingest.Sum(p)
		address, err := s.Put(t.Context(), key, p)
		if err != nil {
			t.Fatalf("Put %+v: %v", key, err)
		}
		wantPayload(t, s, key.Digest, address, p)
		return address
	}
	rows := []ingest.Key{
		{Model: 1, File: 2, Layer: 3, Ordinal: 4, Type: "F16"},
		{Model: 1, File: 2, Layer: 3, Ordinal: 5},
		{Model: 1, File: 2, Layer: 4, Ordinal: 4},
		{Model: 2, File: 2, Layer: 3, Ordinal: 4},
		{Model: 1, File: 3, Ordinal: 4},
		{Model: 1, File: 2, Ordinal: 4},
	}
	addresses := map[string]ingest.Address{}
	for _, row := range rows {
		address := at(row, p)
		if again := at(row, p); again != address {
			t.Errorf("Put twice: %+v and %+v", address, again)
		}
		addresses[address.URI] = address
	}
	if len(addresses) != 1 && len(addresses) != len(rows) {
		t.Errorf("%d rows have %d addresses, want one for all or one for each", len(rows), len(addresses))
	}
	moved := at(rows[0], q)
	delete(addresses, moved.URI)
	for _, address := range addresses {
		wantPayload(t, s, ingest.Sum(p), address, p)
	}
	if len(addresses) == 1 {
		return // by content
	}
	for _, state := range []string{"holds something else", "is right", "is gone"} {
		if state == "is gone" {
			removeAll(t, s)
		}
		address, err := s.Replace(t.Context(), ingest.Sum(p), moved, p)
		if err != nil || address.URI != moved.URI {
			t.Fatalf("Replace of what %s: %+v, %v, want %s", state, address, err, moved.URI)
		}
		wantPayload(t, s, ingest.Sum(p), address, p)
	}
}

func missing(t *testing.T, s ingest.Store) {
	there := payload(1000, 4)
	_, address := put(t, s, there)
	absent := ingest.Sum([]byte("absent"))
	for name, address := range map[string]ingest.Address{"with a size": {Bytes: 6}, "empty": {}} {
		if _, err := get(t.Context(), s, absent, address); !errors.Is(err, ingest.ErrNoPayload) {
			t.Errorf("Get of a missing payload, address %s: %v, want ErrNoPayload", name, err)
		}
	}
	wantPayload(t, s, ingest.Sum(there), address, there)
}

// holds checks Holds for the address of a payload, and for addresses of other stores and payloads.
func holds(t *testing.T, s ingest.Store) {
	digest, at := put(t, s, payload(5000, 23))
	other, _ := put(t, s, payload(5000, 24))
	check := func(what string, digest ingest.Digest, at ingest.Address, want bool) {
		t.Helper()
		if held, err := s.Holds(t.Context(), digest, at); held != want || err != nil {
			t.Errorf("Holds of %s: %v, %v, want %v", what, held, err, want)
		}
	}
	check("what was put", digest, at, true)
	check("no address", digest, ingest.Address{Bytes: 5000}, false)
	changed := at
	changed.URI = "https://account.example/container/" + digest.String()
	check("the URI of another store", digest, changed, false)
	changed.URI = strings.ToUpper(at.URI)
	check("a URI in other letters", digest, changed, false)
	if at.Name == "" {
		check("another payload", other, at, false)
		changed = at
		changed.Name = "x" // gc would not find the row that needs the payload
		check("a name", digest, changed, false)
		check("a payload that is not there", ingest.Sum([]byte("absent")), at, false)
		return
	}
	changed = at
	changed.Name += "x"
	check("another name", digest, changed, false)
}

// stat checks Stat for stored, missing, rewritten and damaged payloads.
func stat(t *testing.T, s ingest.Store) {
	p := payload(5000, 22)
	digest, address := put(t, s, p)
	attested, err := s.Stat(t.Context(), digest, address)
	if err != nil {
		t.Errorf("Stat of what was put: %v", err)
	}
	absent := ingest.Sum([]byte("absent"))
	if vouched, err := s.Stat(t.Context(), absent, ingest.Address{Bytes: 6}); !errors.Is(err, ingest.ErrNoPayload) ||
		vouched {
		t.Errorf("Stat of a missing payload: %v, %v, want ErrNoPayload", vouched, err)
	}
	differs := func(what string, digest ingest.Digest, address ingest.Address) {
		t.Helper()
		if vouched, err := s.Stat(t.Context(), digest, address); err == nil || vouched ||
			errors.Is(err, ingest.ErrNoPayload) {
			t.Errorf("Stat of a payload %s: %v, %v, want an error other than ErrNoPayload", what, vouched, err)
		}
	}
	larger := address
	larger.Bytes++
	differs("of another size", digest, larger)
	if address.Name != "" {
		differs("of another digest", absent, address)
	}
	now, err := s.Replace(t.Context(), digest, address, p)
	if err != nil {
		t.Fatal(err)
	}
	var again *ingest.RewrittenError
	if _, err := s.Stat(t.Context(), digest, address); address.ETag != now.ETag &&
		(!errors.As(err, &again) || again.Now.ETag != now.ETag || again.Was != address.ETag) {
		t.Errorf("Stat of what was written again: %v, want a RewrittenError from %s to %s", err, address.ETag, now.ETag)
	}
	if vouched, err := s.Stat(t.Context(), digest, now); err != nil || vouched != attested {
		t.Errorf("Stat of what was written again, at its address: %v, %v", vouched, err)
	}
	if damager, ok := s.(Damager); ok {
		for what, damage := range map[string][]byte{
			"with other bytes": make([]byte, len(p)), "with fewer bytes": p[:100], "with none": {},
		} {
			damager.DamageAt(digest, now, damage)
			if attested || len(damage) != len(p) {
				differs(what, digest, now)
			}
		}
	}
}

func replace(t *testing.T, s ingest.Store) {
	p := payload(200_000, 5)
	digest := ingest.Sum(p)
	var address ingest.Address
	for _, state := range []string{"absent", "present"} {
		var err error
		if address, err = s.Replace(t.Context(), digest, address, p); err != nil {
			t.Fatalf("Replace of a payload that is %s: %v", state, err)
		}
		wantPayload(t, s, digest, address, p)
	}
	_, address = put(t, s, p)
	wantPayload(t, s, digest, address, p)
	damager, ok := s.(Damager)
	if !ok {
		return
	}
	for what, damage := range map[string][]byte{
		"other bytes": make([]byte, len(p)), "fewer bytes": p[:100], "more bytes": append(p, 0), "none": {},
	} {
		damager.DamageAt(digest, address, damage)
		var damaged *ingest.SizeError
		if _, err := get(t.Context(), s, digest, address); len(damage) != len(p) &&
			(!errors.As(err, &damaged) || errors.Is(err, ingest.ErrNoPayload)) {
			t.Errorf("Get of a payload with %s: %v, want a SizeError", what, err)
		}
		var err error
		if address, err = s.Replace(t.Context(), digest, address, p); err != nil {
			t.Fatalf("Replace of a payload with %s: %v", what, err)
		}
		wantPayload(t, s, digest, address, p)
	}
}

func cancelled(t *testing.T, s ingest.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	there, p := payload(1000, 6), payload(1000, 7)
	digest, address := put(t, s, there)
	objects := objectsOf(t, s)
	for verb, call := range map[string]func() error{
		"Owner":   func() error { _, err := s.Owner(ctx, "late"); return err },
		"Get":     func() error { _, err := get(ctx, s, digest, address); return err },
		"Stat":    func() error { _, err := s.Stat(ctx, digest, address); return err },
		"Reuse":   func() error { _, _, err := s.Reuse(ctx, digest, address); return err },
		"Put":     func() error { _, err := s.Put(ctx, keyOf(ingest.Sum(p)), p); return err },
		"Replace": func() error { _, err := s.Replace(ctx, digest, address, there); return err },
		"Delete":  func() error { _, err := s.Delete(ctx, objects, confirmed); return err },
		"List": func() (last error) {
			for _, err := range s.List(ctx) {
				last = err
			}
			return last
		},
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", verb, err)
		}
	}
	if claimed, err := s.Owner(t.Context(), ""); err != nil || claimed != "" {
		t.Errorf("the owner is %q, %v", claimed, err)
	}
	wantPayload(t, s, digest, address, there)
	digest, address = put(t, s, p)
	wantPayload(t, s, digest, address, p)
}
