package catalogtest

import (
	"context"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// snapshot returns counts that a repeated Record must not change.
func (r *run) snapshot(id ingest.ModelID) [4]int64 {
	r.Helper()
	s := r.summary(id)
	return [4]int64{s.Segments, s.BytesStored, s.BytesShared, s.Files[0].Recorded}
}

var recordTests = []test{
	{name: "recorded segments are read back in file order", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		s := w.sources[0]
		e := r.begin(w)
		for _, b := range change(s.batches(e, 0, 5, 0), func(n *ingest.NewSegment) { n.Address.Modified = changed }) {
			must(t, r.Record(t.Context(), r.lease, b))
		}
		segments := list(t, r.Segments(t.Context(), e.Files[0].ID, 0))
		want(t, "segments", int64(len(segments)), s.plan().Count())
		i := 0
		for segment := range s.plan().All() {
			p, d := segments[i], s.segmentDigest(segment)
			i++
			expected := ingest.StoredSegment{RowID: p.RowID, File: e.Files[0].ID, Ordinal: segment.Ordinal,
				Offset: segment.Offset, Bytes: segment.Bytes, Digest: d, Address: segmentAddress(d, segment.Bytes)}
			expected.Address.Modified = changed // finer than some columns
			if segment.Tensor != ingest.NoTensor {
				expected.Layer, expected.Tensor = e.Files[0].Layers[segment.Tensor], s.Tensors[segment.Tensor].Name
			}
			want(t, "segment", p, expected)
			want(t, "row ID known", p.RowID > 0, true)
		}
		r.check()
	}},
	{name: "progress and counts grow with each batch", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.begin(w)
		segments := int64(0)
		for _, b := range w.sources[0].batches(e, 0, 3, 0) {
			must(t, r.Record(t.Context(), r.lease, b))
			segments += int64(len(b.Segments))
			want(t, "counts", r.snapshot(e.ID), [4]int64{segments, b.To, 0, b.To})
			want(t, "digest known", !r.summary(e.ID).Files[0].Digest.IsZero(), b.To == w.sources[0].Bytes)
		}
		r.check()
	}},
	{name: "a repeated batch changes nothing, whenever it comes", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.begin(w)
		batches := w.sources[0].batches(e, 0, 3, 0)
		for i, b := range batches {
			must(t, r.Record(t.Context(), r.lease, b))
			before := r.snapshot(e.ID)
			for _, again := range batches[:i+1] {
				must(t, r.Record(t.Context(), r.lease, again))
				want(t, "counts", r.snapshot(e.ID), before)
				want(t, "state of the hash", string(r.begin(w).Files[0].HashState), string(b.HashState))
			}
		}
		_, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		must(t, err)
		must(t, r.Record(t.Context(), r.lease, batches[0]))
		r.check()
	}},
	{name: "a repeated batch with other bytes is refused and changes nothing", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.begin(w)
		first := w.sources[0].batches(e, 0, 3, 0)[0]
		must(t, r.Record(t.Context(), r.lease, first))
		before := r.snapshot(e.ID)
		for i := range first.Segments {
			b := *first
			b.Segments = append([]ingest.NewSegment(nil), b.Segments...)
			b.Segments[i].Digest = ingest.Sum([]byte("other bytes"))
			wantError(t, r.Record(t.Context(), r.lease, &b), "other bytes for a segment")
			want(t, "counts", r.snapshot(e.ID), before)
		}
		r.check()
	}},
	{name: "a batch that overlaps what is recorded adds the rest", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.begin(w)
		s := w.sources[0]
		must(t, r.Record(t.Context(), r.lease, s.batches(e, 0, 3, 0)[0]))
		all := s.batches(e, 0, 100, 0)[0]
		must(t, r.Record(t.Context(), r.lease, all))
		want(t, "counts", r.snapshot(e.ID), [4]int64{s.plan().Count(), s.Bytes, 0, s.Bytes})
		r.check()
	}},
	{name: "a batch with a gap or a wrong range is refused and changes nothing", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), gguf("/n.gguf", "n"))
		e := r.begin(w)
		s := w.sources[0]
		must(t, r.Record(t.Context(), r.lease, s.batches(e, 0, 3, 0)[0]))
		before := r.snapshot(e.ID)
		for name, spoil := range map[string]func(*ingest.Batch){
			"a gap before it": func(b *ingest.Batch) { *b = *s.batches(e, 0, 3, 0)[2] },
			"a gap within": func(b *ingest.Batch) {
				b.Segments = append(b.Segments[:1:1], b.Segments[2:]...)
			},
			"a wrong start":           func(b *ingest.Batch) { b.From-- },
			"a wrong end":             func(b *ingest.Batch) { b.To++ },
			"a digest before the end": func(b *ingest.Batch) { b.Digest = s.digest() },
			"a zero digest":           func(b *ingest.Batch) { b.Segments[1].Digest = ingest.Digest{} },
			"a layer for other bytes": func(b *ingest.Batch) { b.Segments[0].Tensor = ingest.NoTensor },
			"a tensor and no layer":   func(b *ingest.Batch) { b.Segments[1].Layer, b.Segments[1].Tensor = 0, 1 },
			"an unknown layer":        func(b *ingest.Batch) { b.Segments[0].Layer, b.Segments[0].Tensor = 1<<40, 0 },
			"an unknown file":         func(b *ingest.Batch) { b.File += 1000 },
			"an unknown model":        func(b *ingest.Batch) { b.Model += 1000 },
		} {
			b := *s.batches(e, 0, 3, 0)[1]
			b.Segments = append([]ingest.NewSegment(nil), b.Segments...)
			spoil(&b)
			wantError(t, r.Record(t.Context(), r.lease, &b), name)
			want(t, "after "+name+" counts", r.snapshot(e.ID), before)
		}
		r.check()
	}},
	{name: "the last batch needs a digest, and the same one each time", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.begin(w)
		b := *w.sources[0].batches(e, 0, 100, 0)[0]
		b.Digest = ingest.Digest{}
		wantError(t, r.Record(t.Context(), r.lease, &b), "a last batch without a digest")
		r.record(w, e, 0)
		b.Digest = ingest.Sum([]byte("another"))
		wantError(t, r.Record(t.Context(), r.lease, &b), "another digest for the same file")
		want(t, "digest", r.summary(e.ID).Files[0].Digest, w.sources[0].digest())
	}},
	{name: "an empty file has a digest and no segment", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/empty", "", ingest.Params))
		id := r.take(w)
		f := r.summary(id).Files[1]
		want(t, "digest", f.Digest, ingest.Sum(nil))
		want(t, "segments", len(list(t, r.Segments(t.Context(), f.ID, 0))), 0)
		r.check()
	}},
	{name: "an empty file without its digest is not complete", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		e := r.begin(newWork("m", small("/empty", "", ingest.Params)))
		_, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		wantIs(t, err, ingest.ErrIncomplete)
	}},
	{name: "equal segments are one atom, and counted as shared", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		r.take(newWork("a", gguf("/a.gguf", "a")))
		s := r.summary(r.take(newWork("b", gguf("/b.gguf", "b"))))
		want(t, "shared", s.BytesShared, int64(3*mib)) // the tensor named shared
		want(t, "stored", s.BytesStored, s.Files[0].Bytes-3*mib)
		r.check()
	}},
	{name: "equal segments that are stored separately are one atom, and not counted as shared",
		run: func(t *testing.T, db Database) {
			r := start(t, db(t), "/a")
			r.take(newWork("a", gguf("/a.gguf", "a")))
			w := newWork("b", gguf("/b.gguf", "b"))
			e := r.begin(w)
			for _, b := range w.sources[0].batches(e, 0, 2, 0) {
				b.Unshared = true
				for range 2 {
					must(t, r.Record(t.Context(), r.lease, b))
				}
			}
			s := r.summary(e.ID)
			want(t, "shared", s.BytesShared, 0)
			want(t, "stored", s.BytesStored, s.Files[0].Bytes)
			r.check()
		}},
	{name: "equal segments within a batch are one atom", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		s := gguf("/a.gguf", "a")
		s.Tensors[0] = ingest.Tensor{Name: "shared.embd", Type: "F16", Shape: []uint64{3 * mib / 2},
			Elements: 3 * mib / 2, Offset: 4 * mib, Bytes: 3 * mib, BlockElements: 1,
			BlockBytes: 2} // the same name, so the same content
		w := newWork("a", s)
		e := r.begin(w)
		for range 2 {
			must(t, r.Record(t.Context(), r.lease, w.sources[0].batches(e, 0, 100, 0)[0]))
			want(t, "shared", r.summary(e.ID).BytesShared, int64(3*mib))
		}
		r.check()
	}},
	{name: "a cancelled batch changes nothing", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.begin(w)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b := w.sources[0].batches(e, 0, 100, 0)[0]
		wantIs(t, r.Record(ctx, r.lease, b), context.Canceled)
		want(t, "counts", r.snapshot(e.ID), [4]int64{})
		must(t, r.Record(t.Context(), r.lease, b))
		r.check()
	}},
}
