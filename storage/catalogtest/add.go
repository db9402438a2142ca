package catalogtest

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
)

// whole returns batches for Add: each file of w in one, with small payloads.
func (r *run) whole(w work) []*ingest.Batch {
	e := &ingest.Entry{Files: make([]ingest.FileEntry, len(w.sources))}
	batches := make([]*ingest.Batch, len(w.sources))
	for i, s := range w.sources {
		e.Files[i].Layers = make([]ingest.LayerID, len(s.Tensors))
		batches[i] = r.withSmall(s.batches(e, i, 1000, 0)[0])
	}
	return batches
}

func (r *run) wholeModel(w work) ingest.WholeModel {
	return ingest.WholeModel{Model: w.model, Plans: w.plans, Batches: r.whole(w)}
}

func (r *run) add(w work) (ingest.Added, error) {
	added, err := r.Add(r.Context(), r.lease, []ingest.WholeModel{r.wholeModel(w)})
	if err != nil {
		return ingest.Added{}, err
	}
	return added[0], nil
}

// addRefused calls Add with a good model and w. It must fail and change nothing.
func (r *run) addRefused(w work, batches []*ingest.Batch) error {
	r.Helper()
	before := result(r.T, r.Catalog)
	good := newWork("good", small("/good", "good", ingest.Weights))
	_, err := r.Add(r.Context(), r.lease, []ingest.WholeModel{r.wholeModel(good),
		{Model: w.model, Plans: w.plans, Batches: batches}})
	wantError(r.T, err, "the model")
	want(r.T, "result", result(r.T, r.Catalog), before)
	r.check()
	return err
}

func pair() work { return newWork("m", gguf("/m.gguf", "m"), small("/t", "template", ingest.Template)) }

var addTests = []test{
	{name: "it is Begin, Record and Complete", many: func(t *testing.T, fresh func(t *testing.T) Database) {
		byParts, once := start(t, fresh(t)(t), "/a"), start(t, fresh(t)(t), "/a")
		byParts.takeSmall(newWork("n", small("/n", "template", ingest.Weights)))
		id := byParts.takeSmall(pair())
		_, err := once.add(newWork("n", small("/n", "template", ingest.Weights)))
		must(t, err)
		added, err := once.add(pair())
		must(t, err)
		s := byParts.summary(id)
		want(t, "added", added, ingest.Added{Model: id, Stored: s.BytesStored, Shared: s.BytesShared})
		want(t, "result", result(t, once.Catalog), result(t, byParts.Catalog))
		got := once.summary(id)
		want(t, "file", got.Files[1], s.Files[1])
		want(t, "tensors", fmt.Sprint(list(t, once.Layers(t.Context(), id))), fmt.Sprint(list(t,
			byParts.Layers(t.Context(), id))))
		f, err := once.Unchanged(t.Context(), "/m.gguf", got.Files[0].Bytes, changed.UnixNano())
		must(t, err)
		want(t, "unchanged file", f.ID, got.Files[0].ID)
		once.check()
	}},
	{name: "repeated, it returns the same model", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		first, err := r.add(pair())
		must(t, err)
		before := result(t, r.Catalog)
		again, err := r.add(pair())
		must(t, err)
		want(t, "model", again.Model, first.Model)
		want(t, "merged", again.Merged, true)
		want(t, "result", result(t, r.Catalog), before)
		r.check()
	}},
	{name: "the same weights get one more name", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		first, err := r.add(pair())
		must(t, err)
		second, err := r.add(newWork("n", gguf("/n.gguf", "m"), small("/u", "params", ingest.Params)))
		must(t, err)
		want(t, "added", second.Model == first.Model && second.Merged, true)
		s := r.summary(first.Model)
		want(t, "names", len(s.Names), 2)
		want(t, "files", len(s.Files), 3)
		want(t, "models", len(list(t, r.Models(t.Context()))), 1)
		r.check()
	}},
	{name: "an unfinished model is continued by Begin", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := pair()
		e := r.begin(w)
		wantIs(t, r.addRefused(w, r.whole(w)), ingest.ErrUnfinished)
		want(t, "model", r.begin(w).ID, e.ID)
	}},
	{name: "a file that is not whole, or not the expected one, is refused", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := pair()
		batches := r.whole(w)
		b := batches[0]
		last := b.Segments[len(b.Segments)-1]
		b.Segments, b.To = b.Segments[:len(b.Segments)-1], last.Offset
		r.addRefused(w, batches)
		r.addRefused(w, batches[:1])
		r.addRefused(w, append(r.whole(w), b))
		w.model.Files[1].Expected = ingest.Sum([]byte("another"))
		err := r.addRefused(w, r.whole(w))
		wantIs(t, err, ingest.ErrIncomplete)
		want(t, "the file is named", strings.Contains(err.Error(), "/t"), true)
	}},
	{name: "without the lease it is refused", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		takeOver(t, db(t), "/a", 2)
		w := pair()
		wantIs(t, r.addRefused(w, r.whole(w)), ingest.ErrLeaseLost)
	}},
	{name: "it takes over the name of a registered model", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		w := pair()
		_, err := r.Register(t.Context(), r.lease, w.model, w.content())
		must(t, err)
		added, err := r.add(w)
		must(t, err)
		want(t, "models", len(list(t, r.Models(t.Context()))), 1)
		want(t, "state", r.summary(added.Model).State, ingest.ModelComplete)
		r.check()
	}},
	{name: "models are added in order, and share what is equal", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		var models []ingest.WholeModel
		for i := range 40 {
			name := fmt.Sprintf("m%d", i)
			w := newWork(name, small("/"+name, fmt.Sprint("weights ", i%10), ingest.Weights))
			models = append(models, r.wholeModel(w))
		}
		added, err := r.Add(t.Context(), r.lease, models)
		must(t, err)
		for i, a := range added {
			want(t, "model", a.Model, added[i%10].Model)
			want(t, "merged", a.Merged, i >= 10)
			want(t, "in order", i == 0 || i >= 10 || a.Model > added[i-1].Model, true)
			want(t, "shared bytes", a.Shared > 0, i >= 10)
		}
		want(t, "models", len(list(t, r.Models(t.Context()))), 10)
		r.check()
	}},
	{name: "many at once share what is equal", run: func(t *testing.T, db Database) {
		r := start(t, db(t), "/a")
		var group errgroup.Group
		for i := range 40 {
			group.Go(func() error {
				name := fmt.Sprintf("m%d", i)
				_, err := r.add(newWork(name, small("/"+name, fmt.Sprint("weights ", i%10), ingest.Weights),
					small("/t"+name, "equal", ingest.Template)))
				return err
			})
		}
		must(t, group.Wait())
		models := list(t, r.Models(t.Context()))
		want(t, "models", len(models), 10)
		for _, m := range models {
			want(t, "names", len(m.Names), 4)
			want(t, "files", len(m.Files), 2)
		}
		r.check()
	}},
}
