package catalogtest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// wantTypes checks the elements of models from first to last by model, file, kind and type.
func (r *run) wantTypes(first, last ingest.ModelID, sums map[string]int64) {
	r.Helper()
	types, err := r.TensorTypes(r.Context(), first, last)
	must(r.T, err)
	got := map[string]int64{}
	for _, e := range types {
		got[fmt.Sprint(e.Model, " ", e.File, " ", e.Kind, " ", e.Type)] += e.Elements
	}
	want(r.T, "elements", fmt.Sprint(got), fmt.Sprint(sums))
	want(r.T, "rows", len(types), len(sums))
}

var readerTests = []test{
	{name: "an empty catalogue", run: func(t *testing.T, db Database) {
		c := db(t)
		want(t, "models", len(list(t, c.Models(t.Context()))), 0)
		want(t, "jobs", len(list(t, c.AllJobs(t.Context()))), 0)
		_, err := c.Model(t.Context(), 1)
		wantIs(t, err, ingest.ErrNotFound)
		wantIs(t, fails(c.Layers(t.Context(), 1)), ingest.ErrNotFound)
		wantIs(t, fails(c.Segments(t.Context(), 1, 0)), ingest.ErrNotFound)
		_, err = c.Unchanged(t.Context(), "/m.gguf", 1, 1)
		wantIs(t, err, ingest.ErrNotFound)
		must(t, Check(t.Context(), c, nil))
	}},
	{name: "models come in the order of their IDs, complete or not", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a := r.take(newWork("a", gguf("/a.gguf", "a")))
		b := r.begin(newWork("b", gguf("/b.gguf", "b"))).ID
		all := list(t, r.Models(t.Context()))
		want(t, "models", len(all), 2)
		want(t, "first", all[0].ID, a)
		want(t, "second", all[1].ID, b)
		want(t, "state", all[1].State, ingest.ModelOpen)
		want(t, "as Model says", all[0].BytesStored, r.summary(a).BytesStored)
	}},
	{name: "metadata comes with one model, not with the list", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("a", gguf("/a.gguf", "a"))
		id := r.take(w)
		want(t, "metadata", string(r.summary(id).Metadata), string(w.model.Metadata))
		want(t, "metadata among all", list(t, r.Models(t.Context()))[0].Metadata == nil, true)
	}},
	{name: "elements are summed by model, file, kind and type", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		r.take(newWork("before", gguf("/before.gguf", "before")))
		w := newWork("a", gguf("/a.gguf", "a"), gguf("/b.gguf", "b"))
		w.model.Files[0].Tensors[2].Type = "Q4_K"
		w.model.Files[0].Tensors[2].Name = "blk.1.attn_q.weight"
		a := r.take(w)
		b := r.begin(newWork("b", gguf("/c.gguf", "c"), small("/t", "template", ingest.Template))).ID
		r.begin(newWork("after", gguf("/after.gguf", "after")))
		const q, embedding = 256 * 14564, 1024 * 1536
		file := func(m ingest.ModelID, i int) string { return fmt.Sprint(m, " ", r.summary(m).Files[i].ID, " ") }
		sums := map[string]int64{
			file(a, 0) + "Attention Q4_K": q + 1024, file(a, 0) + "Embedding F16": embedding,
			file(a, 1) + "Attention Q4_K": q, file(a, 1) + "Embedding F16": embedding,
			file(a, 1) + "Normalization F32": 1024,
			file(b, 0) + "Attention Q4_K":    q, file(b, 0) + "Embedding F16": embedding,
			file(b, 0) + "Normalization F32": 1024}
		r.wantTypes(a, b, sums)
		r.exec(`UPDATE ModelFiles SET TensorTypes = NULL WHERE FileIdx = 0`) // as of an earlier version
		r.wantTypes(a, b, sums)
	}},
	{name: "elements of a model without files are summed by kind and type", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		byHand(t, r.Catalog).AllowOldRows(t)
		id := r.oldModel(nil, nil, nil)
		r.exec(`UPDATE ModelLayers SET ParameterCount = 5 WHERE LayerIdx < 2`)
		r.exec(`UPDATE ModelLayers SET LayerType = 'Output' WHERE LayerIdx = 2`)
		r.wantTypes(id, id, map[string]int64{fmt.Sprint(id, " 0  F32"): 10, fmt.Sprint(id, " 0 Output F32"): 0})
	}},
	{name: "the consumer of a sequence may use the catalogue", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		r.take(newWork("a", gguf("/a.gguf", "a")))
		r.take(newWork("b", gguf("/b.gguf", "b")))
		for model, err := range r.Models(t.Context()) {
			must(t, err)
			for segment, err := range r.Segments(t.Context(), model.Files[0].ID, 0) {
				must(t, err)
				must(t, r.Relocate(t.Context(), r.lease, segment, ingest.Address{URI: "moved", Bytes: segment.Bytes}))
				must(t, r.Renew(t.Context(), r.lease))
			}
		}
		r.check()
	}},
	{name: "sequences that are stopped early hold no resources", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.take(newWork("a", gguf("/a.gguf", "a")))
		file := r.summary(id).Files[0].ID
		for range 50 {
			for range r.Models(t.Context()) {
				break
			}
			for range r.Segments(t.Context(), file, 0) {
				break
			}
			for range r.Layers(t.Context(), id) {
				break
			}
		}
		r.take(newWork("b", gguf("/b.gguf", "b")))
	}},
	{name: "a sequence ends when it is cancelled", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.take(newWork("a", gguf("/a.gguf", "a")))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantIs(t, fails(r.Models(ctx)), context.Canceled)
		wantIs(t, fails(r.Layers(ctx, id)), context.Canceled)
		wantIs(t, fails(r.Segments(ctx, r.summary(id).Files[0].ID, 0)), context.Canceled)
		wantIs(t, fails(r.AllJobs(ctx)), context.Canceled)
	}},
	{name: "layers describe the tensors", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("a", gguf("/a.gguf", "a"), gguf("/b.gguf", "b"))
		scalar := ingest.Tensor{Name: "scalar", Type: "F32", Elements: 1, Offset: 9 * mib, Bytes: 4, BlockElements: 1,
			BlockBytes: 4}
		empty := ingest.Tensor{Name: "empty", Type: "F32", Shape: []uint64{7, 0}, Offset: 9 * mib, BlockElements: 1,
			BlockBytes: 4}
		strange := ingest.Tensor{Name: "strange", Type: "type 99", Shape: []uint64{1 << 62}, Elements: 1 << 62,
			Offset: 9*mib + 100}
		w.sources[1].Tensors = append(w.sources[1].Tensors, scalar, empty, strange)
		w = newWork("a", w.sources...)
		e := r.fill(w)
		i := 0
		layers := list(t, r.Layers(t.Context(), e.ID))
		want(t, "layers", len(layers), 9)
		for f, s := range w.sources {
			for j, tensor := range s.Tensors {
				l := layers[i]
				if l.Index != i || l.File != e.Files[f].ID || l.ID != e.Files[f].Layers[j] || l.Name != tensor.Name ||
					l.Type != tensor.Type ||
					l.Elements != tensor.Elements || l.Offset != tensor.Offset || l.Bytes != tensor.Bytes ||
					!slices.Equal(l.Shape, tensor.Shape) {
					t.Fatalf("layer is %+v, want %+v", l, tensor)
				}
				i++
			}
		}
		want(t, "kind", layers[0].Kind, "Attention")
		want(t, "kind", layers[1].Kind, "Embedding")
		want(t, "kind", layers[2].Kind, "Normalization")
		want(t, "kind", layers[6].Kind, "Unknown")
		want(t, "segments", layers[0].Segments, 3)
		want(t, "segments of the empty one", layers[7].Segments, 0)
		r.check()
	}},
	{name: "unchanged finds a file of that path, size and time, of a complete model",
		run: func(t *testing.T, db Database) {
			r := start(t, db(t), "/a")
			w := newWork("a", gguf("/a.gguf", "a"))
			e := r.fill(w)
			s := w.sources[0]
			_, err := r.Unchanged(t.Context(), s.Path, s.Bytes, changed.UnixNano())
			wantIs(t, err, ingest.ErrNotFound) // the file is complete, but the model is open
			_, err = r.Complete(t.Context(), r.lease, e.ID, 0)
			must(t, err)
			f, err := r.Unchanged(t.Context(), s.Path, s.Bytes, changed.UnixNano())
			must(t, err)
			want(t, "file", f, r.summary(e.ID).Files[0])
			for _, request := range []struct {
				path            string
				bytes, modified int64
			}{{"/A.gguf", s.Bytes, changed.UnixNano()}, {s.Path, s.Bytes + 1, changed.UnixNano()},
				{s.Path, s.Bytes, changed.UnixNano() + 1}} {
				_, err = r.Unchanged(t.Context(), request.path, request.bytes, request.modified)
				wantIs(t, err, ingest.ErrNotFound)
			}
		}},
	{name: "a path stands for the file that was last read from it", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		before := gguf("/a.gguf", "before")
		r.take(newWork("a", before))
		after := gguf("/a.gguf", "after")
		after.Modified = changed.Add(time.Second)
		id := r.take(newWork("a", after))
		f, err := r.Unchanged(t.Context(), "/a.gguf", after.Bytes, after.Modified.UnixNano())
		must(t, err)
		want(t, "model", f.Model, id)
		_, err = r.Unchanged(t.Context(), "/a.gguf", before.Bytes, before.Modified.UnixNano())
		wantIs(t, err, ingest.ErrNotFound)
	}},
}
