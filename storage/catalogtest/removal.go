package catalogtest

import (
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// many returns a file with more tensors than a removal deletes rows in one transaction, and with
// bytes outside of tensors.
func many(path, content string) source {
	s := small(path, string(make([]byte, 7000)), ingest.Weights)
	s.content = content
	for i := range 2300 {
		s.Tensors = append(s.Tensors, ingest.Tensor{Name: "t", Type: "I8", Shape: []uint64{2}, Elements: 2,
			Offset: int64(3 * i), Bytes: 2, BlockElements: 1, BlockBytes: 1})
	}
	return s
}

// gone checks that nothing of a model is found, and that the catalogue has that many models.
func (r *run) gone(w work, id ingest.ModelID, models int) {
	r.Helper()
	_, err := r.Model(r.Context(), id)
	wantIs(r.T, err, ingest.ErrNotFound)
	want(r.T, "models", len(list(r.T, r.Models(r.Context()))), models)
	r.hidden(w)
	r.check()
}

// hidden checks that a model is found neither by its name nor by its content.
func (r *run) hidden(w work) {
	r.Helper()
	s := w.sources[0]
	_, err := r.Unchanged(r.Context(), s.Path, s.Bytes, s.Modified.UnixNano())
	wantIs(r.T, err, ingest.ErrNotFound)
	_, err = r.FileWithDigest(r.Context(), s.digest())
	wantIs(r.T, err, ingest.ErrNotFound)
	want(r.T, "models of the name", len(r.named(w.model.Name)), 0)
	want(r.T, "models of the digest", len(r.withDigest(s.digest().String())), 0)
}

func (r *run) remove(id ingest.ModelID) {
	r.Helper()
	must(r.T, r.Remove(r.Context(), r.lease, id, false))
}

var removalTests = []test{
	{name: "a removed model is gone, and what it shared stays", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		a, b := newWork("a", gguf("/a.gguf", "a"), small("/t", "template", ingest.Template)),
			newWork("b", gguf("/b.gguf", "b"), small("/l", "template", ingest.Template))
		kept, id := r.take(a), r.take(b)
		for range 2 {
			r.remove(id)
			r.gone(b, id, 1)
		}
		want(t, "segments of the other", r.summary(kept).Segments, a.sources[0].plan().Count()+1)
		want(t, "model of the template", r.withDigest(a.sources[1].digest().String())[0], kept)
		atoms, bytes, err := r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		want(t, "atoms left over", atoms, b.sources[0].plan().Count()-3)
		want(t, "bytes left over", bytes, b.sources[0].Bytes-3*mib)
		r.check()
		if again := r.take(b); again == id {
			t.Fatal("the ID of a removed model was used again")
		}
	}},
	{name: "a model of more rows than one transaction deletes", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", many("/m.gguf", "m"))
		e := r.begin(w)
		for _, b := range w.sources[0].batches(e, 0, 1000, 0) {
			must(t, r.Record(t.Context(), r.lease, b))
		}
		_, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		must(t, err)
		r.remove(e.ID)
		r.gone(w, e.ID, 0)
		atoms, _, err := r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		want(t, "atoms left over", atoms, w.sources[0].plan().Count())
	}},
	{name: "a model that is being removed is listed and not found", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		id := r.take(w)
		byHand(t, r.Catalog).Mark(t, id)
		r.hidden(w)
		want(t, "state", r.summary(id).State, ingest.ModelRemoving)
		want(t, "state in the list", list(t, r.Models(t.Context()))[0].State, ingest.ModelRemoving)
		template := r.take(newWork("t", small("/t", "template", ingest.Template)))
		wantIs(t, r.Attach(t.Context(), r.lease, id, ingest.Alias{Name: "x"},
			[]ingest.NamedFile{{ID: r.summary(template).Files[0].ID}}), ingest.ErrIncomplete)
		wantIs(t, r.Rename(t.Context(), r.lease, id, "m", "n"), ingest.ErrNotFound)
		e := r.fill(newWork("l", small("/l", "license", ingest.License)))
		_, err := r.Complete(t.Context(), r.lease, e.ID, id)
		wantIs(t, err, ingest.ErrIncomplete)
		again := r.take(w) // the same weights from the same place
		if again == id {
			t.Fatal("a model was merged into one that is being removed")
		}
		want(t, "models of the name", slices.Equal(r.named("m"), []ingest.ModelID{again}), true)
		r.remove(id)
		_, err = r.Model(t.Context(), id)
		wantIs(t, err, ingest.ErrNotFound)
		f, err := r.Unchanged(t.Context(), "/m.gguf", w.sources[0].Bytes, changed.UnixNano())
		must(t, err)
		want(t, "model of the path", f.Model, again)
		r.check()
	}},
	{name: "an unfinished model that is being removed is not continued", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := r.fill(w)
		byHand(t, r.Catalog).Mark(t, e.ID)
		_, err := r.Complete(t.Context(), r.lease, e.ID, 0)
		wantError(t, err, "completing a model that is being removed")
		again := r.begin(w)
		if again.ID == e.ID || again.Files[0].Recorded != 0 {
			t.Fatalf("a model that is being removed was continued: %+v", again)
		}
		must(t, r.Abandon(t.Context(), r.lease, e.ID))
		want(t, "models", len(list(t, r.Models(t.Context()))), 1)
		r.check()
	}},
	{name: "an interrupted removal is finished", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		id := r.take(w)
		byHand(t, r.Catalog).Mark(t, id)
		_, _, err := r.Unreferenced(t.Context(), ingest.Lease{}, false)
		must(t, err)
		want(t, "state after counting", r.summary(id).State, ingest.ModelRemoving)
		r.remove(id)
		atoms, _, err := r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		// The template's segment is the same atom as its file.
		want(t, "atoms left over", atoms, w.sources[0].plan().Count())
		r.gone(w, id, 0)
	}},
	{name: "the model of a live job is not removed, that of a closed job is", run: func(t *testing.T, db Database) {
		c := db(t)
		a, b := start(t, c, "/a"), start(t, c, "/b")
		w := newWork("m", gguf("/m.gguf", "m"))
		e := a.begin(w)
		wantIs(t, b.Remove(t.Context(), b.lease, e.ID, false), ingest.ErrBusy)
		must(t, a.CloseJob(t.Context(), a.lease, ingest.Outcome{State: ingest.JobFailed}))
		b.remove(e.ID)
		b.gone(w, e.ID, 0)
	}},
	{name: "the effect of a removal is counted, each payload once", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		double := gguf("/a.gguf", "a")
		double.Tensors = append(double.Tensors, double.Tensors[1])
		double.Tensors[3].Offset = 10*mib + 300 // the shared tensor twice
		double.Bytes += 3 * mib
		a := r.take(newWork("a", double, small("/t", "template", ingest.Template)))
		removal, err := r.Removal(t.Context(), a)
		must(t, err)
		var all, shared int64
		counted := map[ingest.Digest]bool{}
		for _, s := range r.stored(a) {
			if !counted[s.Digest] {
				all += s.Address.Bytes
			}
			counted[s.Digest] = true
		}
		want(t, "freed", removal.Freed, all)
		want(t, "shared", removal.Shared, 0)
		b := r.take(newWork("b", gguf("/b.gguf", "b"), small("/t2", "template", ingest.Template)))
		for _, s := range r.stored(b) {
			if counted[s.Digest] {
				shared += s.Address.Bytes
			}
		}
		removal, err = r.Removal(t.Context(), a)
		must(t, err)
		want(t, "freed", removal.Freed, all-shared)
		want(t, "in rows", removal.InRows, 0)
		want(t, "shared", removal.Shared, shared)
		want(t, "model", removal.Model.Name, "a")
		want(t, "files", len(removal.Model.Files), 2)
		want(t, "foreign rows", len(removal.Foreign), 0)
		_, err = r.Removal(t.Context(), 4711)
		wantIs(t, err, ingest.ErrNotFound)
	}},
	{name: "copies of a registered model's files are freed with the model that took them over", run: func(
		t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template)) // the template is one segment
		old := r.register(w)
		for i, s := range w.sources {
			r.place(r.atomOf(old, i), ingest.AtomPlace{Digest: s.digest(), Bytes: s.Bytes,
				Address: address(s.digest(), s.Bytes)})
		}
		id := r.take(w)
		r.isGone(old)
		want(t, "address", r.atomOf(id, 0).Address.URI != "", true)
		atoms := []int64{r.atomOf(id, 0).ID, r.atomOf(id, 1).ID}
		for range 2 {
			r.remove(id)
		}
		_, _, err := r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		for i, s := range w.sources {
			_, err := r.FileAtom(t.Context(), atoms[i])
			wantIs(t, err, ingest.ErrNotFound)
			needed, err := r.Referenced(t.Context(), []ingest.Digest{s.digest()})
			must(t, err)
			want(t, "payload that gc keeps", len(needed), 0)
		}
		r.check()
	}},
	{name: "an atom that others need stays when a model is removed", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		r.atom(w.sources[0].digest(), path, `{}`, 3) // another program's
		other := r.register(newWork("n", w.sources[1], small("/l", "license", ingest.License)))
		id := r.take(w)
		for i, locator := range []string{path, "/t"} {
			a := r.atomOf(id, i)
			want(t, "in segments", a.InSegments, true)
			r.clear("a row in segments", a, false) // nobody has read the segments
			want(t, "locator", a.Locator, locator)
		}
		r.remove(id)
		_, _, err := r.Unreferenced(t.Context(), r.lease, true)
		must(t, err)
		r.check()
		for i, locator := range []string{path, "/t"} {
			a, err := r.FileAtomWithDigest(t.Context(), w.sources[i].digest())
			must(t, err)
			want(t, "locator once the model is removed", a.Locator, locator)
			want(t, "in segments once the model is removed", a.InSegments, false)
		}
		want(t, "references", r.count(`SELECT ReferenceCount FROM Atoms WHERE Metadata = '{}'`), 3)
		want(t, "atom of the registered model", r.atomOf(other, 0).Locator, "/t")
	}},
	{name: "an atom with a note of another program's job stays", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		id := r.register(newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template)))
		noted, free := r.atomOf(id, 0), r.atomOf(id, 1)
		r.exec(`INSERT INTO IngestionJobs (PipelineName) VALUES ('theirs')`)
		r.exec(`INSERT INTO IngestionJobAtoms (IngestionJobId, AtomId, WasDuplicate)
			SELECT IngestionJobId, @p1, 0 FROM IngestionJobs WHERE PipelineName = 'theirs'`, noted.ID)
		r.remove(id)
		_, err := r.FileAtom(t.Context(), noted.ID)
		must(t, err)
		want(t, "notes", r.count(`SELECT COUNT(*) FROM IngestionJobAtoms AS a INNER JOIN IngestionJobs AS j
			ON j.IngestionJobId = a.IngestionJobId WHERE j.PipelineName = 'theirs'`), 1)
		_, err = r.FileAtom(t.Context(), free.ID)
		wantIs(t, err, ingest.ErrNotFound)
		r.exec(`DELETE FROM IngestionJobs WHERE PipelineName = 'theirs'`)
	}},
	{name: "copies of whole files count", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template))
		id := r.register(w)
		s := w.sources[0]
		r.place(r.atomOf(id, 0), ingest.AtomPlace{Digest: s.digest(), Bytes: s.Bytes,
			Address: address(s.digest(), s.Bytes)})
		for _, only := range []int{0, 1} {
			removal, err := r.Removal(t.Context(), id)
			must(t, err)
			want(t, "freed", removal.Freed, s.Bytes)
			want(t, "in rows", removal.InRows, 0)
			want(t, "only copies", removal.OnlyCopies, only)
			if only == 0 {
				r.clear("a row with a copy", r.atomOf(id, 0), true)
			}
		}
	}},
	{name: "payloads in rows are freed with them", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		var first *ingest.Entry
		for _, path := range []string{"/a.gguf", "/b.gguf"} {
			if e := r.fillRows(newWork(path, gguf(path, "the same"))); first == nil {
				first = e
			}
		}
		removal, err := r.Removal(t.Context(), first.ID)
		must(t, err)
		want(t, "freed", removal.Freed, gguf("", "").Bytes)
		want(t, "in rows", removal.InRows, removal.Freed)
		want(t, "shared", removal.Shared, 0)
	}},
}
