package catalogtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// Small tests the small payloads of a catalogue that keeps them beside a store, and Add.
func Small(t *testing.T, fresh func(t *testing.T) Database) {
	runAll(t, smallTests, fresh)
	t.Run("Add", func(t *testing.T) { runAll(t, addTests, fresh) })
}

// withSmall returns b with payloads in place of the addresses of its small segments.
func (r *run) withSmall(b *ingest.Batch) *ingest.Batch {
	filled := *withPayloads(b)
	filled.InRows = false
	for i := range filled.Segments {
		if s := &filled.Segments[i]; s.Bytes > r.SmallPayload() {
			s.Payload, s.Digest, s.Address = nil, b.Segments[i].Digest, b.Segments[i].Address
		}
	}
	return &filled
}

// takeSmall ingests a model with its small payloads in the catalogue.
func (r *run) takeSmall(w work) ingest.ModelID {
	r.Helper()
	e := r.begin(w)
	for i, s := range w.sources {
		for _, b := range s.batches(e, i, 5, 0) {
			for range 2 { // the first answer may be lost
				must(r.T, r.Record(r.Context(), r.lease, r.withSmall(b)))
			}
		}
	}
	id, err := r.Complete(r.Context(), r.lease, e.ID, 0)
	must(r.T, err)
	return id
}

// smallOf returns the segments of a model's first file whose payload is small.
func (r *run) smallOf(id ingest.ModelID) []ingest.StoredSegment {
	r.Helper()
	return slices.DeleteFunc(list(r.T, r.Segments(r.Context(), r.summary(id).Files[0].ID, 0)),
		func(s ingest.StoredSegment) bool { return !s.Small })
}

var smallTests = []test{
	{name: "small payloads need no store, and large ones do", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.takeSmall(newWork("m", gguf("/m.gguf", "m")))
		small := r.smallOf(id)
		if len(small) == 0 {
			t.Fatal("no payload is small")
		}
		for _, s := range list(t, r.Segments(t.Context(), r.summary(id).Files[0].ID, 0)) {
			isSmall := s.Bytes <= r.SmallPayload()
			want(t, "small", s.Small, isSmall)
			want(t, "in the row", s.InRow, isSmall)
			want(t, "has an address", s.Address.URI != "", !isSmall)
			needed, err := r.Referenced(t.Context(), []ingest.Digest{s.Digest})
			must(t, err)
			want(t, "needed in the store", len(needed[s.Digest]) > 0, !isSmall)
		}
		for _, s := range small {
			want(t, "digest", ingest.Sum(r.payload(s)), s.Digest)
			sum, err := r.HashPayload(t.Context(), s)
			must(t, err)
			want(t, "hash", sum, s.Digest)
		}
		r.check()
	}},
	{name: "equal payloads are shared until the last model is removed", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		first := r.takeSmall(newWork("m", gguf("/m.gguf", "m"), small("/t", "equal", ingest.Template)))
		second := r.takeSmall(newWork("n", gguf("/n.gguf", "n"), small("/u", "equal", ingest.Template)))
		template := list(t, r.Segments(t.Context(), r.summary(second).Files[1].ID, 0))[0]
		want(t, "shared bytes", r.summary(second).BytesShared >= template.Bytes, true)
		must(t, r.Remove(t.Context(), r.lease, first, false))
		_, _, err := r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		want(t, "digest", ingest.Sum(r.payload(template)), template.Digest)
		must(t, r.Remove(t.Context(), r.lease, second, false))
		atoms, _, err := r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		want(t, "freed atoms", atoms > 0, true)
		r.check()
		if hand, ok := r.Catalog.(ByHand); ok {
			want(t, "payloads left", hand.Count(t, `SELECT count(*) FROM SmallPayloads`), 0)
		}
	}},
	{name: "a small file is freed with its model, and small tensors by gc", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("f", small("/f", "file", ingest.Weights))
		e := r.begin(w)
		b := w.sources[0].batches(e, 0, 1, 0)[0] // has the digest of the file
		b.Segments[0].Payload, b.Segments[0].Address = []byte("file"), ingest.Address{}
		must(t, r.Record(t.Context(), r.lease, b))
		file, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		must(t, err)
		removal, err := r.Removal(t.Context(), file)
		must(t, err)
		want(t, "freed", [2]int64{removal.Freed, removal.InRows}, [2]int64{4, 4})
		must(t, r.Remove(t.Context(), r.lease, file, false))
		atoms, _, err := r.Unreferenced(t.Context(), r.lease, false)
		must(t, err)
		want(t, "atoms for gc", atoms, 0)

		id := r.takeSmall(newWork("m", gguf("/m.gguf", "m")))
		tensors := int64(0)
		for _, s := range r.smallOf(id) {
			tensors += s.Bytes
		}
		removal, err = r.Removal(t.Context(), id)
		must(t, err)
		want(t, "freed with the model", removal.InRows, 0)
		want(t, "freed by gc", removal.Freed >= tensors, true)
	}},
	{name: "a payload is replaced for all that share it", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		first := r.takeSmall(newWork("m", small("/m", "equal", ingest.Weights), small("/t", "t", ingest.Template)))
		second := r.takeSmall(newWork("n", small("/n", "other", ingest.Weights), small("/u", "equal", ingest.Params)))
		mine := r.smallOf(first)[0]
		theirs := list(t, r.Segments(t.Context(), r.summary(second).Files[1].ID, 0))[0]
		want(t, "digest", theirs.Digest, mine.Digest)
		right := r.payload(mine)
		wantError(t, r.ReplacePayload(t.Context(), r.lease, mine, make([]byte, len(right))), "another payload")
		if hand, ok := r.Catalog.(ByHand); ok {
			hand.Exec(t, `UPDATE SmallPayloads SET Payload = zeroblob(length(Payload))`)
			want(t, "damaged", ingest.Sum(r.payload(theirs)) != theirs.Digest, true)
		}
		must(t, r.ReplacePayload(t.Context(), r.lease, mine, right))
		want(t, "digest", ingest.Sum(r.payload(theirs)), theirs.Digest)
		want(t, "segment", r.smallOf(first)[0], mine)
		r.check()
		if hand, ok := r.Catalog.(ByHand); ok {
			hand.Exec(t, `UPDATE SmallPayloads SET Payload = x'00'`)
			var wrong *ingest.SizeError
			if err := r.ReadPayload(t.Context(), mine, make([]byte, mine.Bytes)); !errors.As(err, &wrong) {
				t.Fatalf("a payload of one byte: %v", err)
			}
			r.takeSmall(newWork("k", small("/k", "equal", ingest.Weights), small("/k2", "k2", ingest.Template)))
			want(t, "digest after it was ingested again", ingest.Sum(r.payload(theirs)), theirs.Digest)
			hand.Exec(t, `UPDATE SmallPayloads SET Payload = zeroblob(length(Payload))`)
			r.takeSmall(newWork("l", small("/l", "equal", ingest.Weights), small("/l2", "l2", ingest.Template)))
			want(t, "digest after it was ingested again", ingest.Sum(r.payload(theirs)), theirs.Digest)
			hand.Exec(t, `DELETE FROM SmallPayloads`)
			gone := list(t, r.Segments(t.Context(), mine.File, 0))[0]
			wantIs(t, r.ReadPayload(t.Context(), gone, make([]byte, gone.Bytes)), ingest.ErrNoPayload)
			must(t, r.ReplacePayload(t.Context(), r.lease, gone, right))
			want(t, "digest", ingest.Sum(r.payload(gone)), gone.Digest)
			want(t, "small", list(t, r.Segments(t.Context(), mine.File, 0))[0].Small, false)
		}
	}},
	{name: "migrations leave it", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		s := r.smallOf(r.takeSmall(newWork("m", small("/m", "m", ingest.Weights))))[0]
		move := ingest.Move{Segment: s, Address: segmentAddress(s.Digest, s.Bytes)}
		moved, err := r.AddAddresses(t.Context(), r.lease, []ingest.Move{move})
		must(t, err)
		want(t, "moved", moved[0], false)
		want(t, "segment", list(t, r.Segments(t.Context(), s.File, 0))[0], s)
	}},
	{name: "a payload that is not small, or has an address, is refused", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.begin(w)
		b := r.withSmall(w.sources[0].batches(e, 0, 5, 0)[0])
		for i := range b.Segments {
			s := &b.Segments[i]
			before := *s
			if s.Payload == nil {
				s.Payload, s.Address = make([]byte, s.Bytes), ingest.Address{}
			} else {
				s.Address = address(s.Digest, s.Bytes)
			}
			wantError(t, r.Record(t.Context(), r.lease, b), "such a payload")
			*s = before
		}
		must(t, r.Record(t.Context(), r.lease, b))
	}},
}
