package catalogtest

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// content returns the digests and locators of the files of w.
func (w work) content() []ingest.FileContent {
	all := make([]ingest.FileContent, len(w.sources))
	for i, s := range w.sources {
		all[i] = ingest.FileContent{Digest: s.digest(), Locator: in("real", s.Path)}
	}
	return all
}

// register registers w twice, as after a lost answer.
func (r *run) register(w work) ingest.ModelID {
	r.Helper()
	first, err := r.Register(r.Context(), r.lease, w.model, w.content())
	must(r.T, err)
	before := result(r.T, r.Catalog)
	again, err := r.Register(r.Context(), r.lease, w.model, w.content())
	must(r.T, err)
	want(r.T, "model when registered again", again, first)
	want(r.T, "catalogue when registered again", result(r.T, r.Catalog), before)
	return first
}

// trust registers w without reading its files.
func (r *run) trust(w work) ingest.ModelID {
	r.Helper()
	content := w.content()
	for i := range content {
		content[i].Trusted = true
	}
	id, err := r.Register(r.Context(), r.lease, w.model, content)
	must(r.T, err)
	return id
}

// atomOf returns the atom of a file of a model.
func (r *run) atomOf(id ingest.ModelID, file int) ingest.FileAtom {
	r.Helper()
	a, err := r.FileAtom(r.Context(), r.summary(id).Files[file].Atom)
	must(r.T, err)
	return a
}

// isGone checks that a model does not exist.
func (r *run) isGone(id ingest.ModelID) {
	r.Helper()
	_, err := r.Model(r.Context(), id)
	wantIs(r.T, err, ingest.ErrNotFound)
}

// names returns the names of a model.
func (r *run) names(id ingest.ModelID) (names []string) {
	r.Helper()
	for _, n := range r.summary(id).Names {
		names = append(names, n.Name)
	}
	return names
}

func wantEqual[T comparable](t *testing.T, what string, got []T, want ...T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s are %v, want %v", what, got, want)
	}
}

// elsewhere returns the source at another path.
func elsewhere(s source, path string) source {
	s.Path = path
	return s
}

var registerTests = []test{
	{name: "a registered model has files and tensors, and no segments", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m:latest", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		w.model.Files[0].Expected = w.sources[0].digest()
		id := r.register(w)
		s := r.summary(id)
		want(t, "state", s.State, ingest.ModelRegistered)
		want(t, "job", s.Job, r.lease.Job)
		want(t, "parameters", s.Parameters, w.model.Parameters())
		want(t, "metadata", string(s.Metadata), string(w.model.Metadata))
		want(t, "tensors", s.Tensors, 3)
		want(t, "segments", s.Segments, 0)
		for i, f := range s.Files {
			src := w.sources[i]
			want(t, "file", f, ingest.StoredFile{ID: f.ID, Model: id, Index: i, Role: src.Role, Name: f.Name,
				Path: src.Path, Format: src.Format, Bytes: src.Bytes, Modified: changed,
				Expected: w.model.Files[i].Expected, Digest: src.digest(), Tensors: int64(len(src.Tensors)),
				Atom: f.Atom, Whole: true})
			want(t, "segments", len(list(t, r.Segments(t.Context(), f.ID, 0))), 0)
			found, err := r.Registered(t.Context(), src.Path, src.Bytes, changed.UnixNano())
			must(t, err)
			want(t, "file at the path", found, f)
			_, err = r.Registered(t.Context(), src.Path, src.Bytes, changed.UnixNano()+1)
			wantIs(t, err, ingest.ErrNotFound)
			needed, err := r.Referenced(t.Context(), []ingest.Digest{src.digest()})
			must(t, err)
			want(t, "digests that a store must have", len(needed), 0)
		}
		want(t, "layers", len(list(t, r.Layers(t.Context(), id))), 3)
		want(t, "name", s.Names[0].Alias, ingest.Alias{Name: "m:latest", URI: "ollama://m:latest"})
		want(t, "files of the name", len(s.Names[0].Files), 2)
		wantEqual(t, "models of the name", r.named("m:latest"), id)
		wantEqual(t, "models with the digest", r.withDigest(w.sources[0].digest().String()), id)
		r.check()
	}},
	{name: "its atoms have the paths of the files", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m:latest", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		content := w.content()
		content[0].Trusted = true
		id, err := r.Register(t.Context(), r.lease, w.model, content)
		must(t, err)
		for i, s := range w.sources {
			a := r.atomOf(id, i)
			var said struct {
				Digest   string `json:"ollama_digest"`
				Path     string `json:"file_path"`
				OnDemand bool   `json:"load_on_demand"`
				Computed *bool  `json:"digest_computed"`
			}
			must(t, json.Unmarshal(a.Metadata, &said))
			want(t, "digest", a.Digest, s.digest())
			want(t, "modality", a.Modality, "model")
			want(t, "type of source", a.SourceType, "ollama_blob")
			want(t, "source", a.SourceURI, "ollama://m:latest")
			want(t, "locator", a.Locator, in("real", s.Path))
			want(t, "bytes", a.Bytes, s.Bytes)
			want(t, "in its row, or in segments", a.InRow || a.InSegments || a.Address.URI != "", false)
			want(t, "path", said.Path, a.Locator)
			want(t, "digest", said.Digest, "sha256:"+s.digest().String())
			want(t, "loaded on demand", said.OnDemand, true)
			want(t, "trusted", a.Trusted(), i == 0)
			want(t, "said to be trusted", said.Computed != nil && !*said.Computed, i == 0)
		}
		want(t, "model", r.register(w), id)
		want(t, "trusted once it is read", r.atomOf(id, 0).Trusted(), false)
		r.check()
	}},
	{name: "lookups of stored files do not find it, and gc does not delete it", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		id := r.register(w)
		stored := r.take(newWork("other", gguf("/o.gguf", "o")))
		for _, s := range w.sources {
			_, err := r.Unchanged(t.Context(), s.Path, s.Bytes, changed.UnixNano())
			wantIs(t, err, ingest.ErrNotFound)
			_, err = r.FileWithDigest(t.Context(), s.digest())
			wantIs(t, err, ingest.ErrNotFound)
		}
		file := r.summary(id).Files[1].ID
		name := ingest.Alias{Name: "x"}
		wantIs(t, r.Attach(t.Context(), r.lease, id, name, nil), ingest.ErrIncomplete)
		wantIs(t, r.Attach(t.Context(), r.lease, stored, name, []ingest.NamedFile{{ID: file}}), ingest.ErrIncomplete)
		wantError(t, r.Abandon(t.Context(), r.lease, id), "abandoning a registered model")
		_, err := r.Complete(t.Context(), r.lease, id, 0)
		wantError(t, err, "completing a registered model")
		e := r.fill(newWork("t", small("/t2", "template", ingest.Template)))
		_, err = r.Complete(t.Context(), r.lease, e.ID, id)
		wantIs(t, err, ingest.ErrIncomplete)
		before := result(t, r.Catalog)
		_, _, err = r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		want(t, "catalogue", result(t, r.Catalog), before)
		want(t, "locator", r.atomOf(id, 0).Locator, in("real", "/m.gguf"))
		r.check()
	}},
	{name: "a complete model is not registered again, and gets the name", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		stored := r.take(newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template)))
		before := r.atomOf(stored, 0)
		same := newWork("n", gguf("/n.gguf", "m"), small("/t", "template", ingest.Template))
		want(t, "model", r.register(same), stored)
		wantEqual(t, "names", r.names(stored), "m", "n")
		want(t, "metadata", string(r.atomOf(stored, 0).Metadata), string(before.Metadata))
		_, err := r.Unchanged(t.Context(), "/n.gguf", same.sources[0].Bytes, changed.UnixNano())
		must(t, err)
		// with one more file, which is not stored, it is another model
		other := r.register(newWork("p", gguf("/p.gguf", "m"), small("/l", "license", ingest.License)))
		want(t, "state", r.summary(other).State, ingest.ModelRegistered)
		want(t, "in segments", r.atomOf(other, 0).InSegments, true)
		want(t, "in segments", r.atomOf(other, 1).InSegments, false)
		r.check()
	}},
	{name: "a file that only claims a digest does not have the stored content", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		license := small("/l", "license", ingest.License)
		first := newWork("first", gguf("/first.gguf", "m"), license)
		before := r.trust(first)
		stored := r.take(newWork("m", gguf("/m.gguf", "m"), license))
		wantEqual(t, "names", r.names(stored), "m")
		after := newWork("after", gguf("/after.gguf", "m"))
		id := r.trust(after)
		want(t, "model of the same weights", id, before)
		want(t, "state", r.summary(id).State, ingest.ModelRegistered)
		want(t, "trusted", r.summary(id).Files[0].Trusted, true)
		_, err := r.Unchanged(t.Context(), "/after.gguf", after.sources[0].Bytes, changed.UnixNano())
		wantIs(t, err, ingest.ErrNotFound)
		wantEqual(t, "names", r.names(stored), "m")
		wantEqual(t, "names of the registered model", r.names(id), "first", "after")
		r.check()
		// it does once it is ingested from this path, or registered and read
		want(t, "model", r.take(newWork("x", after.sources[0])), stored)
		r.isGone(id)
		wantEqual(t, "names", r.names(stored), "m", "x", "first", "after")
		r.check()
		last := newWork("last", gguf("/last.gguf", "m"))
		id = r.trust(last)
		wantEqual(t, "names of the registered model", r.names(id), "last")
		want(t, "model", r.register(last), stored)
		r.isGone(id)
		wantEqual(t, "names", r.names(stored), "m", "x", "first", "after", "last")
		r.check()
	}},
	{name: "the same weights are one registered model", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.register(newWork("a", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template)))
		want(t, "model", r.register(newWork("b", gguf("/m.gguf", "m"), gguf("/extra.gguf", "extra"))), id+1)
		projector := gguf("/p.gguf", "p")
		projector.Role = ingest.Projector
		want(t, "model", r.register(newWork("c", gguf("/m.gguf", "m"), projector,
			small("/t2", "template 2", ingest.Template))), id)
		s := r.summary(id)
		want(t, "files", len(s.Files), 4)
		want(t, "layers", len(list(t, r.Layers(t.Context(), id))), 6)
		wantEqual(t, "names", r.names(id), "a", "c")
		want(t, "files of the first name", len(s.Names[0].Files), 2)
		want(t, "files of the second name", len(s.Names[1].Files), 3)
		r.check()
		// models without weights are the same if their files are
		license := r.register(newWork("l", small("/l", "license", ingest.License)))
		want(t, "model", r.register(newWork("l2", small("/l", "license", ingest.License))), license)
	}},
	{name: "a moved file gets its new path", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		old := gguf("/old/m.gguf", "m")
		id := r.register(newWork("m", old))
		moved := elsewhere(old, "/new/n.gguf")
		moved.Modified = changed.Add(1e9)
		want(t, "model", r.register(newWork("m", moved)), id)
		f := r.summary(id).Files[0]
		want(t, "path", f.Path, "/new/n.gguf")
		want(t, "name", f.Name, "n.gguf")
		want(t, "time", f.Modified, moved.Modified)
		want(t, "locator", r.atomOf(id, 0).Locator, in("real", "/new/n.gguf"))
		r.check()
	}},
	{name: "a changed file replaces the registered one", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		first := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		old := r.register(first)
		atom := r.summary(old).Files[0].Atom
		id := r.register(newWork("m", gguf("/m.gguf", "other"), small("/t", "template", ingest.Template)))
		r.isGone(old)
		_, err := r.FileAtom(t.Context(), atom)
		wantIs(t, err, ingest.ErrNotFound)
		wantEqual(t, "models of the name", r.named("m"), id)
		r.check()
		// other names stay with the old content
		must(t, r.Rename(t.Context(), r.lease, id, "m", "kept"))
		last := r.register(newWork("m", gguf("/m.gguf", "third")))
		wantEqual(t, "names", r.names(id), "kept")
		wantEqual(t, "models of the name", r.named("m"), last)
		r.check()
		// a file at another path does not replace it
		beside := r.register(newWork("m", gguf("/other/m.gguf", "fourth")))
		wantEqual(t, "models of the name", r.named("m"), last, beside)
		r.check()
	}},
	{name: "content at two paths stays when one of them changes", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.register(newWork("m", gguf("/m.gguf", "m")))
		r.register(newWork("m", gguf("/copy.gguf", "m")))
		other := r.register(newWork("m", gguf("/m.gguf", "other")))
		wantEqual(t, "models of the name", r.named("m"), id, other)
		r.check()
	}},
	{name: "stored content stays when the file at its path changes", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		s := gguf("/m.gguf", "m")
		id := r.register(newWork("m", s))
		_, placed, err := r.PlaceAtom(t.Context(), r.lease, r.atomOf(id, 0),
			ingest.AtomPlace{Digest: s.digest(), Bytes: s.Bytes, Address: address(s.digest(), s.Bytes)})
		must(t, err)
		want(t, "placed", placed, true)
		needed, err := r.Referenced(t.Context(), []ingest.Digest{s.digest()})
		must(t, err)
		want(t, "payload that gc keeps", len(needed), 1)
		other := r.register(newWork("m", gguf("/m.gguf", "other")))
		wantEqual(t, "models of the name", r.named("m"), id, other)
		want(t, "address", r.atomOf(id, 0).Address.URI, address(s.digest(), s.Bytes).URI)
		must(t, r.Remove(t.Context(), r.lease, id, false))
		needed, err = r.Referenced(t.Context(), []ingest.Digest{s.digest()})
		must(t, err)
		want(t, "payload that gc keeps once the model is removed", len(needed), 0)
		r.check()
	}},
	{name: "a stored file stays when another file of its model changes", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		template := small("/t", "template", ingest.Template)
		id := r.register(newWork("m", gguf("/m.gguf", "m"), template))
		a, placed, err := r.PlaceAtom(t.Context(), r.lease, r.atomOf(id, 1), ingest.AtomPlace{Digest: template.digest(),
			Bytes: template.Bytes, Address: address(template.digest(), template.Bytes)})
		must(t, err)
		want(t, "placed", placed, true)
		r.clear("a file with its address", a, true)
		weights := r.summary(id).Files[0].Atom
		other := r.register(newWork("m", gguf("/m.gguf", "other")))
		r.isGone(id)
		wantEqual(t, "models of the name", r.named("m"), other)
		want(t, "address", r.fileAtom(a.ID).Address.URI, a.Address.URI)
		_, err = r.FileAtom(t.Context(), weights)
		wantIs(t, err, ingest.ErrNotFound)
		_, _, err = r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		needed, err := r.Referenced(t.Context(), []ingest.Digest{a.Digest})
		must(t, err)
		want(t, "payload that gc keeps", len(needed), 1)
		r.check()
		// the next model with the file gets the atom, and its removal frees the payload
		last := r.register(newWork("n", gguf("/n.gguf", "n"), template))
		want(t, "atom", r.atomOf(last, 1).ID, a.ID)
		must(t, r.Remove(t.Context(), r.lease, last, false))
		_, err = r.FileAtom(t.Context(), a.ID)
		wantIs(t, err, ingest.ErrNotFound)
		r.check()
	}},
	{name: "a model that is ingested takes the registered one's names", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		template, license := small("/t", "template", ingest.Template), small("/l", "license", ingest.License)
		old := r.register(newWork("m", gguf("/m.gguf", "m"), template))
		r.register(newWork("n", gguf("/m.gguf", "m"), template, license))
		before := r.atomOf(old, 0)
		w := newWork("m", gguf("/m.gguf", "m"), template)
		id := r.take(w)
		want(t, "state", r.summary(id).State, ingest.ModelComplete)
		wantEqual(t, "names", r.names(id), "m")
		wantEqual(t, "names that lack a file", r.names(old), "n")
		want(t, "name", r.summary(old).Name, "n")
		a := r.atomOf(id, 0)
		want(t, "atom", a.ID, before.ID)
		want(t, "in segments", a.InSegments, true)
		var said struct {
			OnDemand bool `json:"load_on_demand"`
		}
		must(t, json.Unmarshal(a.Metadata, &said))
		want(t, "loaded on demand", said.OnDemand, false)
		r.check()
		// with the other file, the other name moves, too, and the registered model is removed
		want(t, "model", r.take(newWork("x", gguf("/m.gguf", "m"), license)), id)
		wantEqual(t, "names", r.names(id), "m", "x", "n")
		want(t, "files of the name", len(r.summary(id).Names[2].Files), 3)
		r.isGone(old)
		r.check()
	}},
	{name: "a changed file that is ingested replaces the registered one", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		old := r.register(newWork("m", gguf("/m.gguf", "m")))
		id := r.take(newWork("m", gguf("/m.gguf", "other")))
		r.isGone(old)
		wantEqual(t, "models of the name", r.named("m"), id)
		r.check()
	}},
	{name: "a registered model is removed with its atoms", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		template := small("/t", "template", ingest.Template)
		id := r.register(newWork("m", gguf("/m.gguf", "m"), template))
		other := r.register(newWork("o", gguf("/o.gguf", "o"), template))
		weights, shared := r.summary(id).Files[0].Atom, r.summary(id).Files[1].Atom
		removal, err := r.Removal(t.Context(), id)
		must(t, err)
		want(t, "bytes that gc frees", removal.Freed, 0)
		for range 2 {
			must(t, r.Remove(t.Context(), r.lease, id, false))
		}
		r.isGone(id)
		_, err = r.FileAtom(t.Context(), weights)
		wantIs(t, err, ingest.ErrNotFound)
		want(t, "atom that another model needs", r.atomOf(other, 1).ID, shared)
		r.check()
		want(t, "registered again", r.register(newWork("m", gguf("/m.gguf", "m"), template)) > other, true)
		r.check()
	}},
	{name: "a file needs the digest that its name claims", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		for _, content := range [][]ingest.FileContent{nil, {{Locator: "/m.gguf"}},
			append(w.content(), w.content()...)} {
			_, err := r.Register(t.Context(), r.lease, w.model, content)
			wantError(t, err, "a file without a digest")
		}
		w.model.Files[0].Expected = ingest.Sum(nil)
		_, err := r.Register(t.Context(), r.lease, w.model, w.content())
		wantIs(t, err, ingest.ErrIncomplete)
		want(t, "models", len(list(t, r.Models(t.Context()))), 0)
		lost := r.lease
		lost.Token--
		w.model.Files[0].Expected = ingest.Digest{}
		_, err = r.Register(t.Context(), lost, w.model, w.content())
		wantIs(t, err, ingest.ErrLeaseLost)
		want(t, "models", len(list(t, r.Models(t.Context()))), 0)
		r.check()
	}},
	{name: "two processes register the same model at the same time", run: func(t *testing.T, db Database) {
		var ids [2]ingest.ModelID
		errs := make(chan error, 2)
		runs := [2]*run{start(t, db(t), "/a"), start(t, db(t), "/b")}
		for i, r := range runs {
			go func() {
				w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
				var err error
				ids[i], err = r.Register(t.Context(), r.lease, w.model, w.content())
				errs <- err
			}()
		}
		must(t, errors.Join(<-errs, <-errs))
		want(t, "model of the second", ids[1], ids[0])
		runs[0].check()
	}},
}
