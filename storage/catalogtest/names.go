package catalogtest

import (
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

func (r *run) named(name string) []ingest.ModelID {
	r.Helper()
	ids, err := r.ModelsNamed(r.Context(), name)
	must(r.T, err)
	return ids
}

func (r *run) withDigest(text string) []ingest.ModelID {
	r.Helper()
	prefix, err := ingest.ParseDigestPrefix(text)
	must(r.T, err)
	ids, err := r.ModelsWithDigest(r.Context(), prefix)
	must(r.T, err)
	return ids
}

var nameTests = []test{
	{name: "a name is removed, and the model stays", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.take(newWork("one", gguf("/m.gguf", "m")))
		must(t, r.Attach(t.Context(), r.lease, id, ingest.Alias{Name: hostile}, nil))
		for range 2 {
			must(t, r.RemoveName(t.Context(), r.lease, id, "one"))
			s := r.summary(id)
			want(t, "names", len(s.Names), 1)
			want(t, "name", s.Name, hostile) // in Models.ModelName, which other programs read
			want(t, "models of the name", len(r.named("one")), 0)
			want(t, "models of the other", len(r.named(hostile)), 1)
		}
		wantError(t, r.RemoveName(t.Context(), r.lease, id, hostile), "removing the only name")
		must(t, r.RemoveName(t.Context(), r.lease, id, "nobody's"))
		wantIs(t, r.RemoveName(t.Context(), r.lease, 4711, "x"), ingest.ErrNotFound)
		r.check()
	}},
	{name: "a renamed model has the new name", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.take(newWork("one", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template)))
		must(t, r.Attach(t.Context(), r.lease, id, ingest.Alias{Name: "two"}, nil))
		for range 2 {
			must(t, r.Rename(t.Context(), r.lease, id, "one", hostile))
			s := r.summary(id)
			want(t, "name", s.Name, hostile)
			want(t, "names", len(s.Names), 2)
			want(t, "first name", s.Names[0].Alias, ingest.Alias{Name: hostile, URI: "ollama://one"})
			want(t, "files of the name", len(s.Names[0].Files), 2)
			want(t, "models of the old name", len(r.named("one")), 0)
			want(t, "models of the new name", len(r.named(hostile)), 1)
		}
		must(t, r.Rename(t.Context(), r.lease, id, "two", "two"))
		must(t, r.Rename(t.Context(), r.lease, id, "two", "three"))
		want(t, "name", r.summary(id).Name, hostile)
		wantError(t, r.Rename(t.Context(), r.lease, id, "three", hostile), "a name that the model has")
		wantIs(t, r.Rename(t.Context(), r.lease, id, "nobody's", "x"), ingest.ErrNotFound)
		wantIs(t, r.Rename(t.Context(), r.lease, 4711, "x", "y"), ingest.ErrNotFound)
		r.check()
	}},
	{name: "models are found by their names, byte for byte", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a := r.take(newWork("same", gguf("/a.gguf", "a")))
		b := r.take(newWork("same", gguf("/b.gguf", "b")))
		open := r.begin(newWork("same", gguf("/c.gguf", "c"))).ID
		must(t, r.Attach(t.Context(), r.lease, b, ingest.Alias{Name: "other"}, nil))
		want(t, "models of the name", slices.Equal(r.named("same"), []ingest.ModelID{a, b, open}), true)
		want(t, "models of the other name", slices.Equal(r.named("other"), []ingest.ModelID{b}), true)
		for _, name := range []string{"", "SAME", "same ", "sam", hostile} {
			want(t, "models of "+name, len(r.named(name)), 0)
		}
	}},
	{name: "models and files are found by a digest or its first digits", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("a", gguf("/a.gguf", "a"), small("/t", "template", ingest.Template))
		a := r.take(w)
		b := r.take(newWork("b", gguf("/b.gguf", "b"), small("/t2", "template", ingest.Template)))
		open := newWork("o", gguf("/o.gguf", "o"))
		e := r.begin(open)
		digest := w.sources[0].digest().String()
		for _, n := range []int{6, 7, 32, 63, 64} {
			want(t, "models", slices.Equal(r.withDigest(digest[:n]), []ingest.ModelID{a}), true)
		}
		want(t, "models", slices.Equal(r.withDigest("sha256:"+w.sources[1].digest().String()[:9]),
			[]ingest.ModelID{a, b}), true)
		other := []byte(digest)
		other[63] ^= 1
		want(t, "models of another digest", len(r.withDigest(string(other))), 0)
		f, err := r.FileWithDigest(t.Context(), w.sources[1].digest())
		must(t, err)
		want(t, "file", f, r.summary(a).Files[1])
		want(t, "models of a file that is not recorded", len(r.withDigest(open.sources[0].digest().String())), 0)
		r.record(open, e, 0)
		want(t, "models of one that is", slices.Equal(r.withDigest(open.sources[0].digest().String()),
			[]ingest.ModelID{e.ID}), true)
		_, err = r.FileWithDigest(t.Context(), open.sources[0].digest())
		wantIs(t, err, ingest.ErrNotFound) // the model is open
	}},
}
