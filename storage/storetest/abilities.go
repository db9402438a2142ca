package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

func strays(t *testing.T, sweeper ingest.Sweeper) []ingest.Object {
	t.Helper()
	var all []ingest.Object
	for stray, err := range sweeper.Sweep(t.Context()) {
		if err != nil {
			t.Fatalf("Sweep: %v", err)
		}
		all = append(all, stray)
	}
	return all
}

func sweep(t *testing.T, s ingest.Store) {
	sweeper, ok := s.(ingest.Sweeper)
	if !ok {
		t.Skip("the store is no ingest.Sweeper")
	}
	if found := strays(t, sweeper); len(found) != 0 {
		t.Fatalf("Sweep of an empty store: %v", found)
	}
	stored := map[ingest.Digest][]byte{}
	for i := range 20 {
		p := payload(1000+i, uint64(1000+i))
		digest, _ := put(t, s, p)
		stored[digest] = p
	}
	found := strays(t, sweeper)
	if len(found) != len(stored) {
		t.Fatalf("Sweep yielded %d of %d payloads", len(found), len(stored))
	}
	for _, stray := range found {
		p, ok := stored[stray.Digest]
		if !ok || stray.Bytes != int64(len(p)) || stray.Name == "" || stray.Modified.IsZero() {
			t.Errorf("Sweep yielded %+v", stray)
		}
	}
	sweepEnds(t, sweeper)
	removeOne(t, s, sweeper, found[0], stored[found[0].Digest])
}

// sweepEnds checks that a sweep can be broken off and stops at the context's end.
func sweepEnds(t *testing.T, sweeper ingest.Sweeper) {
	for range sweeper.Sweep(t.Context()) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range sweeper.Sweep(ctx) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("Sweep with a cancelled context ended with %v", last)
	}
	if err := sweeper.Remove(ctx, ingest.Object{Name: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Remove with a cancelled context: %v", err)
	}
}

func removeOne(t *testing.T, s ingest.Store, sweeper ingest.Sweeper, stray ingest.Object, p []byte) {
	for _, state := range []string{"is there", "is gone"} {
		if err := sweeper.Remove(t.Context(), stray); err != nil {
			t.Fatalf("Remove of a payload that %s: %v", state, err)
		}
	}
	address := ingest.Address{Bytes: int64(len(p))}
	if _, err := s.Get(t.Context(), stray.Digest, address, nil); !errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("Get of a removed payload: %v, want ErrNoPayload", err)
	}
	for _, other := range strays(t, sweeper) {
		if other.Digest == stray.Digest {
			t.Errorf("Sweep still yields %s", other.Name)
		}
	}
	_, address = put(t, s, p)
	wantPayload(t, s, stray.Digest, address, p)
}

func claim(t *testing.T, s ingest.Store) {
	claimer, ok := s.(ingest.Claimer)
	if !ok {
		t.Skip("the store is no ingest.Claimer")
	}
	identities := []string{"0f8fad5b-d9cb-469f-a165-70867728950e", "UPPER", "upper", "a/b\\c:d*e", "..", "100%25", "ü \n\x00"}
	for i, identity := range identities {
		for range 2 {
			got, err := claimer.Claim(t.Context(), identity)
			if err != nil {
				t.Fatalf("Claim(%q): %v", identity, err)
			}
			slices.Sort(got)
			want := slices.Sorted(slices.Values(identities[:i+1]))
			if !slices.Equal(got, want) {
				t.Fatalf("Claim(%q) returned %q, want %q", identity, got, want)
			}
			if again, err := claimer.Claims(t.Context()); err != nil || !slices.Equal(again, got) {
				t.Fatalf("Claims: %q, %v, want %q", again, err, got)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := claimer.Claim(ctx, "late"); !errors.Is(err, context.Canceled) {
		t.Errorf("Claim with a cancelled context: %v", err)
	}
	if sweeper, ok := s.(ingest.Sweeper); ok {
		if found := strays(t, sweeper); len(found) != 0 {
			t.Errorf("Sweep takes claims for payloads: %v", found)
		}
	}
}
