package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// place checks a store that goes by position. As in a run, a catalogue has claimed it.
func place(t *testing.T, s ingest.Store) {
	placer, ok := s.(ingest.Placer)
	if !ok {
		t.Skip("the store is no ingest.Placer")
	}
	claimFirst(t, s)
	p, q := payload(100_000, 20), payload(70_000, 21)
	putAt := func(at ingest.Position, p []byte) ingest.Address {
		t.Helper()
		address, err := placer.PutAt(t.Context(), at, ingest.Sum(p), p)
		if err != nil {
			t.Fatalf("PutAt %+v: %v", at, err)
		}
		wantPayload(t, s, ingest.Sum(p), address, p)
		return address
	}
	positions := []ingest.Position{{Model: 1, File: 2, Layer: 3, Ordinal: 4, Type: "F16"}, {Model: 1, File: 2, Layer: 3, Ordinal: 5}, {Model: 1, File: 2, Layer: 4, Ordinal: 4},
		{Model: 2, File: 2, Layer: 3, Ordinal: 4}, {Model: 1, File: 3, Ordinal: 4}, {Model: 1, File: 2, Ordinal: 4}}
	addresses := map[string]ingest.Address{}
	for _, at := range positions {
		address := putAt(at, p)
		if again := putAt(at, p); again != address {
			t.Errorf("PutAt twice: %+v and %+v", address, again)
		}
		addresses[address.URI] = address
	}
	if len(addresses) != len(positions) {
		t.Errorf("%d positions have %d addresses", len(positions), len(addresses))
	}
	// Another payload for a position, as of a run that was cut off before its row; the others keep theirs.
	moved := putAt(positions[0], q)
	delete(addresses, moved.URI)
	for _, address := range addresses {
		wantPayload(t, s, ingest.Sum(p), address, p)
	}
	for _, state := range []string{"holds something else", "is right", "is gone"} {
		if sweeper, ok := s.(ingest.Sweeper); ok && state == "is gone" {
			removeAll(t, sweeper)
		}
		address, err := placer.ReplaceAt(t.Context(), moved, ingest.Sum(p), p)
		if err != nil || address.URI != moved.URI {
			t.Fatalf("ReplaceAt of what %s: %+v, %v, want %s", state, address, err, moved.URI)
		}
		wantPayload(t, s, ingest.Sum(p), address, p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := placer.PutAt(ctx, positions[0], ingest.Sum(p), p); !errors.Is(err, context.Canceled) {
		t.Errorf("PutAt with a cancelled context: %v", err)
	}
	if _, err := placer.ReplaceAt(ctx, moved, ingest.Sum(p), p); !errors.Is(err, context.Canceled) {
		t.Errorf("ReplaceAt with a cancelled context: %v", err)
	}
}

func claimFirst(t *testing.T, s ingest.Store) {
	t.Helper()
	if claimer, ok := s.(ingest.Claimer); ok {
		if _, err := claimer.Claim(t.Context(), "catalog"); err != nil {
			t.Fatal(err)
		}
	}
}

// probe checks what a store says of payloads without reading them.
func probe(t *testing.T, s ingest.Store) {
	prober, ok := s.(ingest.Prober)
	if !ok {
		t.Skip("the store is no ingest.Prober")
	}
	p := payload(5000, 22)
	digest, address := put(t, s, p)
	if err := prober.Probe(t.Context(), digest, address); err != nil {
		t.Errorf("Probe of what was put: %v", err)
	}
	absent := ingest.Sum([]byte("absent"))
	if err := prober.Probe(t.Context(), absent, ingest.Address{Bytes: 6}); !errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("Probe of a missing payload: %v, want ErrNoPayload", err)
	}
	larger := address
	larger.Bytes++
	wantDiffers(t, "of another size", prober.Probe(t.Context(), digest, larger))
	wantDiffers(t, "of another digest", prober.Probe(t.Context(), absent, address))
	now, err := s.Replace(t.Context(), digest, p)
	if err != nil {
		t.Fatal(err)
	}
	var again *ingest.RewrittenError
	if err := prober.Probe(t.Context(), digest, address); address.ETag != now.ETag && (!errors.As(err, &again) || again.Now.ETag != now.ETag || again.Was != address.ETag) {
		t.Errorf("Probe of what was written again: %v, want a RewrittenError from %s to %s", err, address.ETag, now.ETag)
	}
	if err := prober.Probe(t.Context(), digest, now); err != nil {
		t.Errorf("Probe of what was written again, at its address: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := prober.Probe(ctx, digest, now); !errors.Is(err, context.Canceled) {
		t.Errorf("Probe with a cancelled context: %v", err)
	}
	if damager, ok := s.(Damager); ok {
		for what, damage := range map[string][]byte{"with other bytes": make([]byte, len(p)), "with fewer bytes": p[:100], "with none": {}} {
			damager.Damage(digest, damage)
			wantDiffers(t, what, prober.Probe(t.Context(), digest, now))
		}
	}
}

func wantDiffers(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || errors.Is(err, ingest.ErrNoPayload) {
		t.Errorf("Probe of a payload %s: %v, want an error that does not say that it is missing", what, err)
	}
}

// announce checks that what was written before an announcement is put again, and relied on afterwards.
func announce(t *testing.T, s ingest.Store) {
	announcer, ok := s.(ingest.Announcer)
	if !ok {
		t.Skip("the store is no ingest.Announcer")
	}
	p := payload(80_000, 23)
	claimFirst(t, s)
	_, before := put(t, s, p)
	since, err := announcer.Announce(t.Context(), "catalog")
	if err != nil || since.Before(before.Modified) {
		t.Fatalf("Announce: %v, %v, after a write of %v", since, err, before.Modified)
	}
	claimed, err := s.(ingest.Claimer).Claims(t.Context())
	if err != nil || !slices.Equal(claimed, []string{"catalog"}) {
		t.Errorf("with an announcement, the claims are %q, %v", claimed, err)
	}
	for _, stray := range strays(t, s.(ingest.Sweeper)) {
		if stray.Name != before.Name {
			t.Errorf("with an announcement, Sweep yields %s", stray.Name)
		}
	}
	claimFirst(t, s)
	_, after := put(t, s, p)
	if after.ETag == before.ETag {
		t.Error("what gc may be about to remove was relied on")
	}
	for range 30 { // the store's clock may be coarse
		if after.Modified.After(since) {
			break
		}
		time.Sleep(100 * time.Millisecond)
		_, after = put(t, s, p)
	}
	if _, again := put(t, s, p); again.ETag != after.ETag {
		t.Error("what was written after the announcement was put again")
	}
	q := payload(80_000, 24)
	_, old := put(t, s, q)
	if since, err = announcer.Announce(t.Context(), "catalog"); err != nil {
		t.Fatal(err)
	}
	if err := announcer.Withdraw(t.Context(), "catalog", since.Add(-time.Minute)); err != nil {
		t.Errorf("Withdraw of an earlier announcement: %v", err)
	}
	claimFirst(t, s)
	if _, again := put(t, s, q); again.ETag == old.ETag {
		t.Error("an earlier gc has taken back the announcement of a later one")
	}
	_, after = put(t, s, p)
	for range 2 {
		if err := announcer.Withdraw(t.Context(), "catalog", since); err != nil {
			t.Errorf("Withdraw: %v", err)
		}
	}
	claimFirst(t, s)
	if _, again := put(t, s, p); again.ETag != after.ETag {
		t.Error("after the announcement was taken back, what is there was put again")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := announcer.Announce(ctx, "catalog"); !errors.Is(err, context.Canceled) {
		t.Errorf("Announce with a cancelled context: %v", err)
	}
}

// putFile checks a store that takes files.
func putFile(t *testing.T, s ingest.Store) {
	files, ok := s.(ingest.FilePutter)
	if !ok {
		t.Skip("the store is no ingest.FilePutter")
	}
	for i, size := range sizes {
		p := payload(size, uint64(200+i))
		digest := ingest.Sum(p)
		if size > 0 {
			wrong := bytes.Clone(p)
			wrong[size/2]++
			var mismatch *ingest.MismatchError
			if _, err := files.PutFile(t.Context(), digest, bytes.NewReader(wrong), int64(size)); !errors.As(err, &mismatch) || mismatch.Want != digest {
				t.Errorf("PutFile of %d other bytes: %v, want a MismatchError", size, err)
			}
			if _, err := files.PutFile(t.Context(), digest, bytes.NewReader(p[1:]), int64(size)); err == nil {
				t.Errorf("PutFile of a file that is shorter than %d bytes succeeded", size)
			}
			if _, err := s.Get(t.Context(), digest, ingest.Address{Bytes: int64(size)}, nil); err == nil {
				t.Errorf("a wrong file of %d bytes is there", size)
			}
		}
		var first ingest.Address
		for range 2 {
			address, err := files.PutFile(t.Context(), digest, bytes.NewReader(p), int64(size))
			if err != nil || address.Bytes != int64(size) || first.URI != "" && address.URI != first.URI {
				t.Fatalf("PutFile of %d bytes: %+v, %v, before %s", size, address, err, first.URI)
			}
			first = address
			wantPayload(t, s, digest, address, p)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := files.PutFile(ctx, ingest.Sum(nil), bytes.NewReader(nil), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("PutFile with a cancelled context: %v", err)
	}
}
