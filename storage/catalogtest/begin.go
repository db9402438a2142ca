package catalogtest

import (
	"bytes"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

var beginTests = []test{
	{name: "a new model has its files and layers and no segments", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		e := r.begin(w)
		want(t, "files", len(e.Files), 2)
		want(t, "layers", len(e.Files[0].Layers), 3)
		want(t, "layers of the template", len(e.Files[1].Layers), 0)
		for _, f := range e.Files {
			if f.Recorded != 0 || len(f.HashState) != 0 || !f.Digest.IsZero() {
				t.Fatalf("file is %+v", f)
			}
			want(t, "segments", len(list(t, r.Segments(t.Context(), f.ID, 0))), 0)
		}
		s := r.summary(e.ID)
		want(t, "state", s.State, ingest.ModelOpen)
		want(t, "job", s.Job, r.lease.Job)
		want(t, "segments", s.Segments, 0)
		r.check()
	}},
	{name: "the same model again is the same rows", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), gguf("/p.gguf", "p"))
		a, b := r.begin(w), r.begin(w)
		want(t, "model", b.ID, a.ID)
		for i := range a.Files {
			want(t, "file", b.Files[i].ID, a.Files[i].ID)
			for j := range a.Files[i].Layers {
				want(t, "layer", b.Files[i].Layers[j], a.Files[i].Layers[j])
			}
		}
		want(t, "models", len(list(t, r.Models(t.Context()))), 1)
		r.check()
	}},
	{name: "an unfinished model reports how far each file got", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		e := r.begin(w)
		first := w.sources[0].batches(e, 0, 4, 0)[0]
		must(t, r.Record(t.Context(), r.lease, first))
		r.record(w, e, 1)
		e = r.begin(w)
		want(t, "recorded", e.Files[0].Recorded, first.To)
		want(t, "state of the hash", string(e.Files[0].HashState), string(w.sources[0].hashState(first.To)))
		want(t, "digest", e.Files[0].Digest, ingest.Digest{})
		want(t, "recorded of the template", e.Files[1].Recorded, w.sources[1].Bytes)
		want(t, "digest of the template", e.Files[1].Digest, w.sources[1].digest())
	}},
	{name: "a changed file starts over", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		s := gguf("/m.gguf", "m")
		a := r.begin(newWork("m", s))
		s.Modified = s.Modified.Add(time.Nanosecond)
		if b := r.begin(newWork("m", s)); b.ID == a.ID {
			t.Fatal("the same rows for another time of change")
		}
	}},
	{name: "a file that moved, or goes to another store, starts over", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a := r.begin(newWork("m", gguf(in("old", "m.gguf"), "m")))
		w := newWork("m", gguf(in("new", "m.gguf"), "m"))
		b := r.begin(w)
		w.model.StoreAddress = "another store"
		if c := r.begin(w); a.ID == b.ID || b.ID == c.ID {
			t.Fatal("the same rows for another place")
		}
		r.take(w)
		_, err := r.Unchanged(t.Context(), in("new", "m.gguf"), w.sources[0].Bytes, changed.UnixNano())
		must(t, err)
		_, err = r.Unchanged(t.Context(), in("old", "m.gguf"), w.sources[0].Bytes, changed.UnixNano())
		wantIs(t, err, ingest.ErrNotFound)
	}},
	{name: "an unfinished model has each name under which it was begun", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		r.begin(newWork("one", gguf("/m.gguf", "m")))
		s := r.summary(r.begin(newWork("two", gguf("/m.gguf", "m"))).ID)
		want(t, "names", len(s.Names), 2)
		want(t, "first name", s.Names[0].Name, "one")
		want(t, "second name", s.Names[1].Name, "two")
		r.check()
	}},
	{name: "a complete model is not begun again as itself", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		if id := r.take(w); r.begin(w).ID == id {
			t.Fatal("a complete model was continued")
		}
	}},
	{name: "another live job's model is busy", run: func(t *testing.T, db Database) {
		c := db(t)
		w := newWork("m", gguf("/m.gguf", "m"))
		a := start(t, c, "/a")
		e := a.begin(w)
		b := start(t, c, "/b")
		_, err := b.Begin(t.Context(), b.lease, w.model, w.plans)
		wantIs(t, err, ingest.ErrBusy)
		want(t, "job", a.summary(e.ID).Job, a.lease.Job)
	}},
	{name: "the model of another job that ended is taken over", run: func(t *testing.T, db Database) {
		c := db(t)
		w := newWork("m", gguf("/m.gguf", "m"))
		a := start(t, c, "/a")
		e := a.begin(w)
		first := w.sources[0].batches(e, 0, 4, 0)[0]
		must(t, a.Record(t.Context(), a.lease, first))
		must(t, a.CloseJob(t.Context(), a.lease, ingest.Outcome{State: ingest.JobFailed}))
		b := start(t, c, "/b")
		got := b.begin(w)
		want(t, "model", got.ID, e.ID)
		want(t, "recorded", got.Files[0].Recorded, first.To)
		want(t, "job", b.summary(e.ID).Job, b.lease.Job)
	}},
	{name: "names of hostile bytes come back unchanged", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		s := gguf(in(hostile, hostile), hostile)
		s.Role, s.Format = ingest.Role("r"+hostile), "f"+hostile
		s.Tensors[0].Name, s.Tensors[0].Type = hostile, "type 99"
		w := newWork(hostile, s)
		w.model.URI, w.model.Architecture, w.model.Type = "ollama://"+hostile, "arch"+hostile, "t"+hostile
		got := r.summary(r.take(w))
		want(t, "name", got.Name, hostile)
		want(t, "names", got.Names[0].Alias, ingest.Alias{Name: hostile, URI: w.model.URI})
		want(t, "architecture", got.Architecture, w.model.Architecture)
		want(t, "type", got.Type, w.model.Type)
		want(t, "path", got.Files[0].Path, s.Path)
		want(t, "role", got.Files[0].Role, s.Role)
		want(t, "format", got.Files[0].Format, s.Format)
		if !bytes.Equal(got.Metadata, w.model.Metadata) {
			t.Fatalf("metadata is %s", got.Metadata)
		}
		want(t, "tensor", list(t, r.Layers(t.Context(), got.ID))[0].Name, hostile)
		found := false
		for segment, err := range r.Segments(t.Context(), got.Files[0].ID, 0) {
			must(t, err)
			found = found || segment.Tensor == hostile
		}
		want(t, "tensor of a segment found", found, true)
		_, err := r.Unchanged(t.Context(), s.Path, s.Bytes, changed.UnixNano())
		must(t, err)
	}},
	{name: "plans that do not match the files are refused", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		_, err := r.Begin(t.Context(), r.lease, w.model, nil)
		wantError(t, err, "a model without plans")
		want(t, "models", len(list(t, r.Models(t.Context()))), 0)
	}},
	{name: "a model of many tensors", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		s := small("/m.gguf", string(make([]byte, 5000)), ingest.Weights)
		for i := range 2500 {
			s.Tensors = append(s.Tensors, ingest.Tensor{Name: "t", Type: "I8", Shape: []uint64{2}, Elements: 2,
				Offset: int64(2 * i), Bytes: 2, BlockElements: 1, BlockBytes: 1})
		}
		w := newWork("m", s)
		e := r.begin(w)
		for _, b := range s.batches(e, 0, 1000, 0) {
			must(t, r.Record(t.Context(), r.lease, b))
		}
		_, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		must(t, err)
		layers := list(t, r.Layers(t.Context(), e.ID))
		want(t, "layers", len(layers), 2500)
		for i, l := range layers {
			want(t, "index", l.Index, i)
			want(t, "ID", l.ID, e.Files[0].Layers[i])
		}
		want(t, "segments", len(list(t, r.Segments(t.Context(), e.Files[0].ID, 0))), 2500)
		r.check()
	}},
}
