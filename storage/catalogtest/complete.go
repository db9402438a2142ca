package catalogtest

import (
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

var completeTests = []test{
	{name: "a model with all its bytes is complete", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m:latest", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		w.model.Files[0].Expected = w.sources[0].digest()
		id := r.take(w)
		s := r.summary(id)
		want(t, "state", s.State, ingest.ModelComplete)
		want(t, "parameters", s.Parameters, w.model.Parameters())
		want(t, "tensors", s.Tensors, 3)
		want(t, "files", len(s.Files), 2)
		for i, f := range s.Files {
			src := w.sources[i]
			want(t, "file", f, ingest.StoredFile{ID: f.ID, Model: id, Index: i, Role: src.Role, Name: f.Name,
				Path: src.Path, Format: src.Format,
				Bytes: src.Bytes, Modified: changed, Expected: w.model.Files[i].Expected, Digest: src.digest(),
				Recorded: src.Bytes,
				Tensors:  int64(len(src.Tensors)), SegmentBytes: ingest.MinSegmentBytes, Atom: f.Atom})
		}
		want(t, "names", len(s.Names), 1)
		want(t, "files of the name", len(s.Names[0].Files), 2)
		if age := time.Since(s.Ingested); age < -time.Minute || age > time.Minute {
			t.Fatalf("ingested %s ago", age)
		}
		r.check()
	}},
	{name: "completing a model again changes nothing", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.take(newWork("m", gguf("/m.gguf", "m")))
		again, err := r.Complete(t.Context(), r.lease, id, 0)
		must(t, err)
		want(t, "model", again, id)
		r.check()
	}},
	{name: "a model that lacks bytes is not complete", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		e := r.begin(w)
		for _, b := range w.sources[0].batches(e, 0, 5, 0) {
			_, err := r.Complete(t.Context(), r.lease, e.ID, 0)
			wantIs(t, err, ingest.ErrIncomplete)
			must(t, r.Record(t.Context(), r.lease, b))
		}
		_, err := r.Complete(t.Context(), r.lease, e.ID, 0) // the second file is missing still
		wantIs(t, err, ingest.ErrIncomplete)
		want(t, "state", r.summary(e.ID).State, ingest.ModelOpen)
		r.check()
	}},
	{name: "a file without the expected digest is not complete", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		s := gguf("/m.gguf", "m")
		s.Expected = ingest.Sum([]byte("something else"))
		e := r.fill(newWork("m", s))
		_, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		wantIs(t, err, ingest.ErrIncomplete)
		_, err = r.Unchanged(t.Context(), s.Path, s.Bytes, changed.UnixNano())
		wantIs(t, err, ingest.ErrNotFound)
	}},
	{name: "segments under another model's layers do not count", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e, other := r.begin(w), r.begin(newWork("n", gguf("/n.gguf", "n")))
		e.Files[0].Layers = other.Files[0].Layers
		var failed error
		for _, b := range w.sources[0].batches(e, 0, 100, 0) {
			failed = r.Record(t.Context(), r.lease, b)
		}
		if failed == nil { // a catalogue may notice it in Record or in Complete
			_, failed = r.Complete(t.Context(), r.lease, e.ID, 0)
		}
		wantError(t, failed, "a segment of a layer of another model")
	}},
	{name: "an unknown model is not found", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		_, err := r.Complete(t.Context(), r.lease, 77, 0)
		wantIs(t, err, ingest.ErrNotFound)
	}},
	{name: "a file that is one segment is one atom", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		r.take(w)
		needed, err := r.Referenced(t.Context(), []ingest.Digest{w.sources[1].digest(), w.sources[0].digest()})
		must(t, err)
		want(t, "segment is needed", len(needed[w.sources[1].digest()]) > 0, true)
		want(t, "file of many segments is needed", len(needed[w.sources[0].digest()]) > 0, false)
		r.check()
	}},
}

var mergeTests = []test{
	{name: "the same weights from another path become the existing model", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		old := r.take(newWork("one", gguf(in("a", "m.gguf"), "m"), small("/t1", "template 1", ingest.Template)))
		w := newWork("two", gguf(in("b", "m.gguf"), "m"), small("/t2", "template 2", ingest.Template))
		e := r.fill(w)
		for range 2 { // the second call is the repetition after a lost answer
			id, err := r.Complete(t.Context(), r.lease, e.ID, 0)
			must(t, err)
			want(t, "model", id, old)
		}
		_, err := r.Model(t.Context(), e.ID)
		wantIs(t, err, ingest.ErrNotFound)
		s := r.summary(old)
		want(t, "files", len(s.Files), 3)
		want(t, "moved file", s.Files[2].ID, e.Files[1].ID)
		want(t, "names", len(s.Names), 2)
		want(t, "name", s.Names[1].Alias, ingest.Alias{Name: "two", URI: "ollama://two"})
		want(t, "files of the new name", len(s.Names[1].Files), 2)
		want(t, "weights of the new name", s.Names[1].Files[0].ID, s.Files[0].ID)
		want(t, "template of the new name", s.Names[1].Files[1].ID, e.Files[1].ID)
		for _, path := range []string{in("a", "m.gguf"), in("b", "m.gguf")} {
			f, err := r.Unchanged(t.Context(), path, w.sources[0].Bytes, changed.UnixNano())
			must(t, err)
			want(t, "file", f.ID, s.Files[0].ID)
		}
		r.check()
	}},
	{name: "the same template is stored once", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		old := r.take(newWork("one", gguf(in("a", "m.gguf"), "m"), small("/t", "template", ingest.Template)))
		r.take(newWork("two", gguf(in("b", "m.gguf"), "m"), small("/t", "template", ingest.Template)))
		s := r.summary(old)
		want(t, "files", len(s.Files), 2)
		want(t, "files of the new name", len(s.Names[1].Files), 2)
		r.check()
	}},
	{name: "the same content with another segment size is the same model", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		old := r.take(newWork("one", gguf("/m.gguf", "m")))
		w := newWork("two", gguf("/m.gguf", "m"))
		plan, err := ingest.NewPlan(&w.sources[0].File, 2*mib)
		must(t, err)
		w.plans[0] = plan
		e := r.begin(w)
		b := ingest.Batch{Model: e.ID, File: e.Files[0].ID, To: w.sources[0].Bytes, Digest: w.sources[0].digest(),
			HashState: []byte("x")}
		for segment := range plan.All() {
			row := ingest.NewSegment{Segment: segment, Digest: ingest.Sum([]byte{byte(len(b.Segments))})}
			if segment.Tensor != ingest.NoTensor {
				row.Layer, row.Type = e.Files[0].Layers[segment.Tensor], "F16"
			}
			b.Segments = append(b.Segments, row)
		}
		must(t, r.Record(t.Context(), r.lease, &b))
		id, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		must(t, err)
		want(t, "model", id, old)
		atoms, _, err := r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		want(t, "atoms left over", atoms, int64(len(b.Segments)))
		r.check()
	}},
	{name: "weights of several files are the same only in their order", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a, b := gguf("/1.gguf", "1"), gguf("/2.gguf", "2")
		first := r.take(newWork("one", a, b))
		if r.take(newWork("two", b, a)) == first || r.take(newWork("three", a)) == first {
			t.Fatal("models with different weights became one")
		}
		again := gguf(in("x", "1.gguf"), "1")
		want(t, "model", r.take(newWork("four", again, b)), first)
		r.check()
	}},
	{name: "a projector moves with its tensors", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		old := r.take(newWork("one", gguf(in("a", "m.gguf"), "m")))
		projector := gguf("/p.gguf", "p")
		projector.Role = ingest.Projector
		w := newWork("two", gguf(in("b", "m.gguf"), "m"), projector)
		e := r.fill(w)
		_, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		must(t, err)
		layers := list(t, r.Layers(t.Context(), old))
		want(t, "layers", len(layers), 6)
		for i, l := range layers {
			want(t, "index", l.Index, i)
		}
		want(t, "file of the last", layers[5].File, e.Files[1].ID)
		want(t, "segments of the projector", int64(len(list(t, r.Segments(t.Context(), e.Files[1].ID, 0)))),
			projector.plan().Count())
		r.check()
	}},
	{name: "files without weights go into the named model", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		old := r.take(newWork("one", gguf("/m.gguf", "m")))
		e := r.fill(newWork("two", small("/t", "template", ingest.Template)))
		for range 2 {
			id, err := r.Complete(t.Context(), r.lease, e.ID, old)
			must(t, err)
			want(t, "model", id, old)
		}
		s := r.summary(old)
		want(t, "files", len(s.Files), 2)
		want(t, "files of the new name", len(s.Names[1].Files), 2)
		r.check()
	}},
	{name: "weights do not go into a model with other weights", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		old := r.take(newWork("one", gguf("/m.gguf", "m")))
		e := r.fill(newWork("two", gguf("/n.gguf", "n")))
		_, err := r.Complete(t.Context(), r.lease, e.ID, old)
		wantError(t, err, "a model with other weights")
		id, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		must(t, err)
		want(t, "model", id, e.ID)
		r.check()
	}},
	{name: "nothing goes into a model that is incomplete or missing", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		open := r.begin(newWork("one", gguf("/m.gguf", "m")))
		e := r.fill(newWork("two", small("/t", "template", ingest.Template)))
		_, err := r.Complete(t.Context(), r.lease, e.ID, open.ID)
		wantIs(t, err, ingest.ErrIncomplete)
		_, err = r.Complete(t.Context(), r.lease, e.ID, 4711)
		wantIs(t, err, ingest.ErrNotFound)
		r.check()
	}},
	{name: "two models without weights stay two", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a := r.take(newWork("one", small("/1", "template", ingest.Template)))
		b := r.take(newWork("two", small("/2", "license", ingest.License)))
		if a == b {
			t.Fatal("two models without weights became one")
		}
		r.check()
	}},
}
