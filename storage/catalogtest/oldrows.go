package catalogtest

import (
	"errors"
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// oldModel adds a model as another program writes it: without a state, files, digests and sizes. It
// has a layer for each list of payloads, the last one first.
func (r *run) oldModel(layers ...[]string) ingest.ModelID {
	r.Helper()
	hand := byHand(r.T, r.Catalog)
	r.exec(`INSERT INTO Models (ModelName, ModelType) VALUES ('old', 'GGUF')`)
	id := hand.Count(r.T, `SELECT MAX(ModelId) FROM Models`)
	for i, payloads := range slices.Backward(layers) {
		r.exec(`INSERT INTO ModelLayers (ModelId, LayerIdx, LayerName, QuantizationType)
			VALUES (@p1, @p2, 'blk', 'F32')`, id, int64(i))
		for ordinal, p := range payloads {
			r.exec(`INSERT INTO LayerTensorSegments (LayerId, SegmentOrdinal, PointOffset, PointCount, QuantizationType,
				RawPayload) SELECT MAX(LayerId), @p1, 0, 1, 'F32', @p2 FROM ModelLayers`, int64(ordinal), []byte(p))
		}
	}
	return ingest.ModelID(id)
}

// oldMoves returns moves of all segments of a model of another program, with digests, addresses and
// payloads.
func (r *run) oldMoves(id ingest.ModelID) (all []ingest.Move) {
	r.Helper()
	for _, s := range list(r.T, r.TensorSegments(r.Context(), id)) {
		m := ingest.Move{Segment: s}
		if s.InRow {
			m.Payload = r.payload(s)
		}
		if s.Digest.IsZero() {
			m.Segment.Digest = ingest.Sum(m.Payload)
		}
		m.Address = segmentAddress(m.Segment.Digest, s.Bytes)
		all = append(all, m)
	}
	return all
}

// counted checks the reference count of the atom of a payload; -1 for no atom.
func (r *run) counted(payload string, n int64) {
	r.Helper()
	digest := ingest.Sum([]byte(payload))
	want(r.T, "references of "+payload,
		r.count(`SELECT COALESCE(MAX(ReferenceCount), -1) FROM Atoms WHERE ContentHash = @p1`, digest[:]), n)
}

// needed counts those of some payloads that gc keeps in a store.
func (r *run) needed(payloads ...string) int {
	r.Helper()
	var digests []ingest.Digest
	for _, p := range payloads {
		digests = append(digests, ingest.Sum([]byte(p)))
	}
	needed, err := r.Referenced(r.Context(), digests)
	must(r.T, err)
	return len(needed)
}

var oldRowTests = []test{
	{name: "rows of another program are listed by tensor", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		byHand(t, r.Catalog).AllowOldRows(t)
		r.take(newWork("m", gguf("/m.gguf", "m")))
		id := r.oldModel([]string{"one", "three"}, []string{""}, []string{"fourteen bytes"})
		var got []ingest.StoredSegment
		for i, s := range list(t, r.TensorSegments(t.Context(), id)) {
			if s.RowID == 0 || s.Layer == 0 || s.Tensor != "blk" || i > 0 && s.Layer > got[i-1].Layer {
				t.Fatalf("segment %d is %+v after %+v", i, s, got)
			}
			got = append(got, s)
		}
		for i, s := range []ingest.StoredSegment{{Bytes: 3, InRow: true}, {Ordinal: 1, Bytes: 5, InRow: true}, {},
			{Bytes: 14, InRow: true}} {
			s.RowID, s.Layer, s.Tensor = got[i].RowID, got[i].Layer, "blk"
			want(t, "segment", got[i], s)
		}
		want(t, "payload", string(r.payload(got[1])), "three")
		var size *ingest.SizeError
		if err := r.ReadPayload(t.Context(), got[1], make([]byte, 6)); !errors.As(err, &size) {
			t.Fatalf("error is %v, want a size", err)
		}
		wantIs(t, r.ReadPayload(t.Context(), got[2], make([]byte, 1)), ingest.ErrNoPayload)
		removal, err := r.Removal(t.Context(), id)
		must(t, err)
		want(t, "bytes in rows", removal.InRows, 22)
		wantIs(t, fails(r.TensorSegments(t.Context(), id+1)), ingest.ErrNotFound)
	}},
	{name: "a page of rows ends within a tensor", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		byHand(t, r.Catalog).AllowOldRows(t)
		id := r.oldModel([]string{"a"}, []string{"b"}, []string{"c"})
		for n := int64(1); n < 1024; n *= 2 {
			r.exec(`INSERT INTO LayerTensorSegments (LayerId, SegmentOrdinal, PointOffset, PointCount, QuantizationType,
				RawPayload) SELECT LayerId, SegmentOrdinal + @p1, 0, 1, 'F32', RawPayload FROM LayerTensorSegments`, n)
		}
		all := list(t, r.TensorSegments(t.Context(), id))
		want(t, "segments", len(all), 3*1024)
		for i, s := range all {
			want(t, "ordinal", s.Ordinal, i%1024)
			want(t, "tensors", s.Layer == all[i/1024*1024].Layer, true)
		}
	}},
	{name: "rows of another program move to a store and back", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		byHand(t, r.Catalog).AllowOldRows(t)
		r.take(newWork("m", small("/t", "same", ingest.Template))) // a segment and a file
		id := r.oldModel([]string{"one", "same"}, []string{"one"})
		first := r.oldMoves(id)
		r.counted("one", -1)
		r.move("rows with an address", r.AddAddresses, first, 3)
		r.counted("one", 2)
		r.counted("same", 3)
		both := r.oldMoves(id)
		for i, m := range both {
			s := first[i].Segment
			s.Address = both[i].Segment.Address
			want(t, "segment", m.Segment, s)
			want(t, "address", s.Address.URI, first[i].Address.URI)
		}
		r.check()
		want(t, "payloads that gc keeps", r.needed("one", "same"), 2)
		sum, err := r.HashPayload(t.Context(), both[0].Segment)
		must(t, err)
		want(t, "digest", sum, both[0].Segment.Digest)
		r.move("rows emptied", r.ClearPayloads, both, 3)
		stored := r.oldMoves(id)
		want(t, "payloads that gc keeps", r.needed("one", "same"), 2)
		must(t, r.Relocate(t.Context(), r.lease, stored[0].Segment, stored[0].Segment.Address))
		r.move("rows filled", r.AddPayloads, withPayload(stored, first), 3)
		r.move("addresses removed", r.ClearAddresses, r.oldMoves(id), 3)
		last := r.oldMoves(id)
		for i := range last {
			want(t, "payload", string(last[i].Payload), string(first[i].Payload))
			want(t, "address", last[i].Segment.Address.URI, "")
		}
		want(t, "payloads that gc keeps", r.needed("one"), 0)
		r.move("rows with an address again", r.AddAddresses, last, 3)
		r.counted("one", 2)
		atoms, _, err := r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		want(t, "atoms removed", atoms, 0)
		r.counted("one", 2)
		removal, err := r.Removal(t.Context(), id)
		must(t, err)
		want(t, "bytes in rows", removal.InRows, 10)
		r.remove(id)
		r.counted("one", 0)
		r.counted("same", 2)
		want(t, "payloads that gc keeps", r.needed("one"), 0)
		atoms, _, err = r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		want(t, "atoms removed", atoms, 1)
		r.check()
	}},
	{name: "a row that another program changed gets no digest", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		byHand(t, r.Catalog).AllowOldRows(t)
		id := r.oldModel([]string{"one", "two", "three", "four"})
		moves := r.oldMoves(id)
		const change = `UPDATE LayerTensorSegments SET `
		r.exec(change+`RawPayload = @p1 WHERE SegmentOrdinal = 0`, []byte("ONE"))
		r.exec(change + `BlobUri = 'https://elsewhere' WHERE SegmentOrdinal = 1`)
		r.exec(`DELETE FROM LayerTensorSegments WHERE SegmentOrdinal = 2`)
		r.move("rows that are as before", r.AddAddresses, moves, 1)
		r.counted("one", 0)
		r.counted("four", 1)
		lost := r.lease
		lost.Token--
		moves[0].Segment.Digest = ingest.Sum([]byte("ONE"))
		_, err := r.AddAddresses(t.Context(), lost, moves[:1])
		wantIs(t, err, ingest.ErrLeaseLost)
		r.counted("ONE", -1)
		r.move("a row with the payload", r.AddAddresses, moves[:1], 1)
		both := r.oldMoves(id)[:1]
		r.exec(change + `AtomId = NULL`)
		for _, verb := range []moveVerb{r.ClearPayloads, r.ClearAddresses, r.AddPayloads} {
			r.move("rows that lost their atom", verb, both, 0)
		}
	}},
}
