package catalogtest

import (
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

var abandonTests = []test{
	{name: "an abandoned model is gone, and what it shared stays", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		kept := r.take(newWork("a", gguf("/a.gguf", "a"), small("/t", "template", ingest.Template)))
		w := newWork("b", gguf("/b.gguf", "b"), small("/t", "template", ingest.Template))
		e := r.fill(w)
		for range 2 {
			must(t, r.Abandon(t.Context(), r.lease, e.ID))
			_, err := r.Model(t.Context(), e.ID)
			wantIs(t, err, ingest.ErrNotFound)
		}
		wantIs(t, fails(r.Segments(t.Context(), e.Files[0].ID, 0)), ingest.ErrNotFound)
		want(t, "models", len(list(t, r.Models(t.Context()))), 1)
		atoms, bytes, err := r.Unreferenced(t.Context(), r.lease, false)
		must(t, err)
		want(t, "atoms left over", atoms, w.sources[0].plan().Count()-3)
		want(t, "bytes left over", bytes, w.sources[0].Bytes-3*mib)
		want(t, "segments of the other", r.summary(kept).Segments, w.sources[0].plan().Count()+1)
		r.check()
	}},
	{name: "an abandoned model can be begun again", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("a", gguf("/a.gguf", "a"))
		e := r.fill(w)
		must(t, r.Abandon(t.Context(), r.lease, e.ID))
		s := r.summary(r.take(w))
		if s.ID == e.ID {
			t.Fatal("the ID of an abandoned model was used again")
		}
		want(t, "stored", s.BytesStored, w.sources[0].Bytes) // no other row refers to them
		r.check()
	}},
	{name: "a complete model is not abandoned", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.take(newWork("a", gguf("/a.gguf", "a")))
		wantError(t, r.Abandon(t.Context(), r.lease, id), "abandoning a complete model")
		want(t, "state", r.summary(id).State, ingest.ModelComplete)
		r.check()
	}},
	{name: "a model that a live job works on is not abandoned by another", run: func(t *testing.T, db Database) {
		c := db(t)
		a, b := start(t, c, "/a"), start(t, c, "/b")
		e := a.begin(newWork("a", gguf("/a.gguf", "a")))
		wantError(t, b.Abandon(t.Context(), b.lease, e.ID), "abandoning the model of a live job")
		must(t, a.CloseJob(t.Context(), a.lease, ingest.Outcome{State: ingest.JobFailed}))
		must(t, b.Abandon(t.Context(), b.lease, e.ID))
	}},
}

var attachTests = []test{
	{name: "a name with files of another model", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a := r.take(newWork("a", gguf("/a.gguf", "a"), small("/t1", "template 1", ingest.Template)))
		b := r.take(newWork("b", gguf("/b.gguf", "b"), small("/t2", "template 2", ingest.Template)))
		template := r.summary(b).Files[1]
		for range 2 {
			must(t, r.Attach(t.Context(), r.lease, a, ingest.Alias{Name: "c", URI: "ollama://c"},
				[]ingest.NamedFile{{ID: template.ID}}))
			s := r.summary(a)
			want(t, "files", len(s.Files), 3)
			want(t, "digest", s.Files[2].Digest, template.Digest)
			want(t, "path", s.Files[2].Path, template.Path)
			want(t, "names", len(s.Names), 2)
			want(t, "name", s.Names[1].Alias, ingest.Alias{Name: "c", URI: "ollama://c"})
			want(t, "files of the name", len(s.Names[1].Files), 2)
			want(t, "weights of the name", s.Names[1].Files[0].ID, s.Files[0].ID)
			want(t, "template of the name", s.Names[1].Files[1].ID, s.Files[2].ID)
			want(t, "files of the first name", len(s.Names[0].Files), 2)
			want(t, "segments", len(list(t, r.Segments(t.Context(), s.Files[2].ID, 0))), 1)
		}
		want(t, "files of the other model", len(r.summary(b).Files), 2)
		r.check()
	}},
	{name: "files that the model has are not copied", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a := r.take(newWork("a", gguf("/a.gguf", "a"), small("/t1", "template", ingest.Template)))
		b := r.take(newWork("b", gguf("/b.gguf", "b"), small("/t2", "template", ingest.Template)))
		own := r.summary(a).Files[1].ID
		must(t, r.Attach(t.Context(), r.lease, a, ingest.Alias{Name: "c"},
			[]ingest.NamedFile{{ID: own}, {ID: r.summary(b).Files[1].ID}}))
		s := r.summary(a)
		want(t, "files", len(s.Files), 2)
		want(t, "files of the name", len(s.Names[1].Files), 2)
		want(t, "template of the name", s.Names[1].Files[1].ID, own)
		r.check()
	}},
	{name: "a name that is known means the new files", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a := r.take(newWork("a", gguf("/a.gguf", "a"), small("/t1", "template 1", ingest.Template)))
		b := r.take(newWork("b", gguf("/b.gguf", "b"), small("/t2", "template 2", ingest.Template)))
		must(t, r.Attach(t.Context(), r.lease, a, ingest.Alias{Name: "a", URI: "new"},
			[]ingest.NamedFile{{ID: r.summary(b).Files[1].ID}}))
		s := r.summary(a)
		want(t, "names", len(s.Names), 1)
		want(t, "URI", s.Names[0].URI, "new")
		want(t, "files of the name", len(s.Names[0].Files), 2)
		want(t, "template of the name", s.Names[0].Files[1].ID, s.Files[2].ID)
		r.check()
	}},
	{name: "an alias without files", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a := r.take(newWork("a", gguf("/a.gguf", "a")))
		must(t, r.Attach(t.Context(), r.lease, a, ingest.Alias{Name: hostile, URI: hostile}, nil))
		s := r.summary(a)
		want(t, "name", s.Names[1].Alias, ingest.Alias{Name: hostile, URI: hostile})
		want(t, "weights of the name", s.Names[1].Files[0].ID, s.Files[0].ID)
	}},
	{name: "weights of another model are not shared, its own are", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a := r.take(newWork("a", gguf("/a.gguf", "a")))
		b := r.take(newWork("b", small("/w", "template", ingest.Weights), small("/t", "template", ingest.Template)))
		s := r.summary(b)
		name := ingest.Alias{Name: "c"}
		wantError(t, r.Attach(t.Context(), r.lease, a, name,
			[]ingest.NamedFile{{ID: s.Files[1].ID}, {ID: s.Files[0].ID}}), "another model's weights")
		want(t, "files", len(r.summary(a).Files), 1)
		want(t, "names", len(r.summary(a).Names), 1)
		must(t, r.Attach(t.Context(), r.lease, a, name, []ingest.NamedFile{{ID: s.Files[1].ID}}))
		must(t, r.Attach(t.Context(), r.lease, b, name, []ingest.NamedFile{{ID: s.Files[0].ID}}))
		want(t, "role", r.summary(a).Files[1].Role, ingest.Template)
		want(t, "files of the others", len(r.summary(b).Files), 2)
		r.check()
	}},
	{name: "files that cannot be attached are refused, and nothing changes", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a := r.take(newWork("a", gguf("/a.gguf", "a")))
		b := r.take(newWork("b", gguf("/b.gguf", "b"), small("/t1", "template 1", ingest.Template)))
		open := r.fill(newWork("o", small("/t2", "template 2", ingest.Template)))
		good, name := r.summary(b).Files[1].ID, ingest.Alias{Name: "c"}
		wantError(t, r.Attach(t.Context(), r.lease, a, name,
			[]ingest.NamedFile{{ID: good}, {ID: r.summary(b).Files[0].ID}}),
			"a file with tensors")
		wantIs(t, r.Attach(t.Context(), r.lease, a, name, []ingest.NamedFile{{ID: good}, {ID: open.Files[0].ID}}),
			ingest.ErrIncomplete)
		wantIs(t, r.Attach(t.Context(), r.lease, a, name, []ingest.NamedFile{{ID: good}, {ID: 4711}}),
			ingest.ErrNotFound)
		wantIs(t, r.Attach(t.Context(), r.lease, open.ID, name, nil), ingest.ErrIncomplete)
		wantIs(t, r.Attach(t.Context(), r.lease, 4711, name, nil), ingest.ErrNotFound)
		s := r.summary(a)
		want(t, "files", len(s.Files), 1)
		want(t, "names", len(s.Names), 1)
		r.check()
	}},
}
