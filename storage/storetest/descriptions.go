package storetest

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// Descriptions tests what ingest.DescriptionStore adds to ingest.Store. place returns a new empty store.
func Descriptions(t *testing.T, place func(t *testing.T) ingest.DescriptionStore) {
	for name, test := range map[string]func(*testing.T, ingest.DescriptionStore){
		"round trip": describedRoundTrip,
		"list":       listDescriptions,
		"wrong":      wrongDescription,
		"address":    addressOf,
	} {
		t.Run(name, func(t *testing.T) { test(t, place(t)) })
	}
}

// describe stores a description of n bytes.
func describe(t *testing.T, s ingest.DescriptionStore, sequence int64, n int, seed uint64) (ingest.Description,
	[]byte) {
	t.Helper()
	p := payload(n, seed)
	d := ingest.Description{Sequence: sequence, Content: ingest.Sum(p), Bytes: int64(n)}
	for range 2 { // the second finds it
		if err := s.PutDescription(t.Context(), d, bytes.NewReader(p)); err != nil {
			t.Fatal(err)
		}
	}
	return d, p
}

func describedRoundTrip(t *testing.T, s ingest.DescriptionStore) {
	for seed, n := range []int{1, 100_000, 20 << 20} {
		d, p := describe(t, s, 1<<62, n, uint64(seed))
		got := make([]byte, n)
		if err := s.ReadDescription(t.Context(), d, 0, got); err != nil || !bytes.Equal(got, p) {
			t.Errorf("%d bytes: %v", n, err)
		}
		part := got[:(n+1)/2]
		if err := s.ReadDescription(t.Context(), d, int64(n/2), part); err != nil || !bytes.Equal(part, p[n/2:]) {
			t.Errorf("from byte %d of %d: %v", n/2, n, err)
		}
	}
}

func collect(t *testing.T, s ingest.DescriptionStore) map[ingest.Description]bool {
	t.Helper()
	found := map[ingest.Description]bool{}
	for d, err := range s.Descriptions(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		found[d] = true
	}
	return found
}

// listDescriptions: List and gc do not see descriptions.
func listDescriptions(t *testing.T, s ingest.DescriptionStore) {
	if len(collect(t, s)) != 0 {
		t.Error("a new store has descriptions")
	}
	a, _ := describe(t, s, 1, 10, 1)
	b, _ := describe(t, s, 1, 20, 2)
	c, _ := describe(t, s, 0, 30, 3)
	if got := collect(t, s); len(got) != 3 || !got[a] || !got[b] || !got[c] {
		t.Errorf("found %v", got)
	}
	for object, err := range s.List(t.Context()) {
		t.Errorf("List yields %v, %v", object, err)
	}
	for range 2 { // the second finds nothing
		if err := s.DeleteDescription(t.Context(), a); err != nil {
			t.Error(err)
		}
	}
	if got := collect(t, s); len(got) != 2 || got[a] {
		t.Errorf("after a delete: %v", got)
	}
	if err := s.ReadDescription(t.Context(), a, 0, make([]byte, 10)); err == nil {
		t.Error("a deleted description was read")
	}
}

// wrongDescription: content with another digest, or an end before its size, is not stored.
func wrongDescription(t *testing.T, s ingest.DescriptionStore) {
	p := payload(1000, 1)
	d := ingest.Description{Sequence: 1, Content: ingest.Sum([]byte("other")), Bytes: 1000}
	var mismatch *ingest.MismatchError
	if err := s.PutDescription(t.Context(), d, bytes.NewReader(p)); !errors.As(err, &mismatch) {
		t.Errorf("another digest: %v", err)
	}
	d.Content, d.Bytes = ingest.Sum(p), 2000
	if err := s.PutDescription(t.Context(), d, bytes.NewReader(p)); err == nil {
		t.Error("a short description was stored")
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	d.Bytes = 1000
	if err := s.PutDescription(over, d, bytes.NewReader(p)); err == nil {
		t.Error("a description was stored after the end of the context")
	}
	if got := collect(t, s); len(got) != 0 {
		t.Errorf("%v is stored", got)
	}
}

// addressOf: the address is that of Put, except for what changes with each write.
func addressOf(t *testing.T, s ingest.DescriptionStore) {
	p := payload(1000, 1)
	stored := ingest.Encoding{Codec: "test", Stored: ingest.Sum(p)}
	other := ingest.Sum([]byte("x"))
	for digest, encoding := range map[ingest.Digest]ingest.Encoding{ingest.Sum(p): {}, other: stored} {
		want, err := s.Put(t.Context(), ingest.Key{Digest: digest, Encoding: encoding}, p)
		if err != nil {
			t.Fatal(err)
		}
		got := s.AddressOf(digest, 1000, encoding)
		if now, present, err := s.Reuse(t.Context(), digest, got); err != nil || !present || now != want {
			t.Errorf("at %v: %v, %v, %v; want %v", got, now, present, err, want)
		}
	}
}
