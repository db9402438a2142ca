package rebuild_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
)

// failing fails call number at of those that change descriptions, before or after its effect.
type failing struct {
	ingest.DescriptionStore
	at, calls int
	after     bool
}

var errFault = errors.New("fault")

func (f *failing) change(do func() error) error {
	if f.calls++; f.calls != f.at {
		return do()
	}
	if f.after {
		if err := do(); err != nil {
			return err
		}
	}
	return errFault
}

func (f *failing) PutDescription(ctx context.Context, d ingest.Description, content io.ReaderAt) error {
	return f.change(func() error { return f.DescriptionStore.PutDescription(ctx, d, content) })
}

func (f *failing) DeleteDescription(ctx context.Context, d ingest.Description) error {
	return f.change(func() error { return f.DescriptionStore.DeleteDescription(ctx, d) })
}

// described returns the names that the descriptions tell, of each model.
func (f *fixture) described() (models []string, files int) {
	f.Helper()
	log := f.log()
	byModel := map[ingest.Digest][]string{}
	for _, e := range log.Live() {
		r, err := describe.Open(f.Context(), f.store, e.Frame)
		f.must(err)
		for _, n := range r.Names {
			if !slices.Contains(byModel[e.Model], string(n.Name)) {
				byModel[e.Model] = append(byModel[e.Model], string(n.Name))
			}
		}
		r.Close()
	}
	for _, names := range byModel {
		slices.Sort(names)
		models = append(models, fmt.Sprint(names))
	}
	slices.Sort(models)
	return models, len(log.Files)
}

// removed removes a model, and describes that.
func (f *fixture) removed(id ingest.ModelID) {
	f.Helper()
	m, err := f.catalog.Model(f.Context(), id)
	f.must(err)
	lease := f.lease()
	f.must(f.catalog.Remove(f.Context(), lease, id, false))
	f.must(f.catalog.CloseJob(f.Context(), lease, ingest.Outcome{State: ingest.JobComplete}))
	keeper := describe.Keeper{Catalog: f.catalog, Store: f.store}
	f.must(keeper.Update(f.Context(), nil, []ingest.Digest{describe.Key(m.Files)}))
}

// TestAll: models are removed, ingested again and renamed. At each fault of All, the descriptions tell what
// the catalogue has. In the end, each file does, and nothing else is left.
func TestAll(t *testing.T) {
	for at := 1; ; at++ {
		for _, after := range []bool{false, true} {
			f := newFixture(t)
			one := f.ingest("one", content(1, 1))
			f.ingest("two", content(1, 2))
			f.removed(one)
			f.ingest("one again", content(1, 1))
			f.ingest("other name", content(1, 2))
			f.removed(f.ingest("gone", content(1, 3)))
			want := []string{"[one again]", "[other name two]"}
			if got, _ := f.described(); !slices.Equal(got, want) {
				t.Fatalf("described %v, want %v", got, want)
			}
			store := &failing{DescriptionStore: f.store, at: at, after: after}
			keeper := describe.Keeper{Catalog: f.catalog, Store: store}
			err := keeper.All(t.Context(), f.log())
			if got, _ := f.described(); !slices.Equal(got, want) {
				t.Errorf("fault %d: described %v, want %v", at, got, want)
			}
			if errors.Is(err, errFault) {
				f.must(keeper.All(t.Context(), f.log()))
			}
			got, files := f.described()
			if files > len(want) || !slices.Equal(got, want) {
				t.Errorf("after fault %d: described %v in %d files", at, got, files)
			}
			calls := store.calls
			f.must(keeper.All(t.Context(), f.log()))
			if store.calls != calls {
				t.Errorf("All changed descriptions again: %d calls", store.calls-calls)
			}
			if err == nil {
				return
			}
		}
	}
}

// TestUnknown: Unknown names each model once that only the store has.
func TestUnknown(t *testing.T) {
	f := newFixture(t)
	keeper := func() *describe.Keeper { return &describe.Keeper{Catalog: f.catalog, Store: f.store} }
	f.must(keeper().Before(t.Context(), f.ingest("twice", content(1, 1)), 0))
	f.removed(f.ingest("gone", content(1, 2)))
	if names, err := keeper().Unknown(t.Context(), f.log()); err != nil || len(names) > 0 {
		t.Errorf("unknown %q, %v", names, err)
	}
	f.open()
	if names, err := keeper().Unknown(t.Context(), f.log()); err != nil || !slices.Equal(names, []string{"twice"}) {
		t.Errorf("unknown %q, %v", names, err)
	}
}

// byPosition is a catalogue whose payloads are named by their position.
type byPosition struct{ ingest.Catalog }

func (b byPosition) Segments(ctx context.Context, file ingest.FileID, from int64) iter.Seq2[ingest.StoredSegment,
	error] {
	return func(yield func(ingest.StoredSegment, error) bool) {
		for s, err := range b.Catalog.Segments(ctx, file, from) {
			s.Address.URI = "https://a.example/c/1/2/3.bin"
			if !yield(s, err) {
				return
			}
		}
	}
}

// TestByPosition: a model whose payloads are named by their position has no description.
func TestByPosition(t *testing.T) {
	f := newFixture(t)
	keeper := describe.Keeper{Catalog: byPosition{f.catalog}, Store: f.store}
	f.must(keeper.Before(t.Context(), f.begin("m", content(1, 1)), 0))
	if got, files := f.described(); files > 0 {
		t.Errorf("described %v", got)
	}
}

// TestOrder: a change counts also if the clock of an earlier writer was in the future, and if that wrote since
// the last change.
func TestOrder(t *testing.T) {
	f := newFixture(t)
	id := f.ingest("one", content(1, 1))
	keeper := describe.Keeper{Catalog: f.catalog, Store: f.store}
	f.must(keeper.Update(t.Context(), []ingest.ModelID{id}, nil))
	m, err := f.catalog.Model(t.Context(), id)
	f.must(err)
	for d, err := range f.store.Descriptions(t.Context()) {
		f.must(err)
		text := make([]byte, d.Bytes)
		f.must(f.store.ReadDescription(t.Context(), d, 0, text))
		f.must(f.store.DeleteDescription(t.Context(), d))
		d.Sequence = 1 << 60
		f.must(f.store.PutDescription(t.Context(), d, bytes.NewReader(text)))
	}
	f.must(keeper.Update(t.Context(), nil, []ingest.Digest{describe.Key(m.Files)}))
	if got, files := f.described(); len(got) != 0 || files != 3 {
		t.Errorf("described %v in %d files", got, files)
	}
	f.removed(id)
	f.ingest("again", content(1, 1))
	if got, _ := f.described(); !slices.Equal(got, []string{"[again]"}) {
		t.Errorf("described %v", got)
	}
}

// listing calls after when a listing of descriptions has ended.
type listing struct {
	ingest.DescriptionStore
	after func()
}

func (l *listing) Descriptions(ctx context.Context) iter.Seq2[ingest.Description, error] {
	return func(yield func(ingest.Description, error) bool) {
		for d, err := range l.DescriptionStore.Descriptions(ctx) {
			if !yield(d, err) {
				return
			}
		}
		l.after()
	}
}

// TestMergeBeside: while a name is described, another process gives the model one more.
func TestMergeBeside(t *testing.T) {
	f := newFixture(t)
	id := f.ingest("one", content(1, 1))
	store := &listing{f.store, func() { f.ingest("beside", content(1, 1)) }}
	keeper := describe.Keeper{Catalog: f.catalog, Store: store}
	f.must(keeper.Update(t.Context(), []ingest.ModelID{id}, nil))
	if got, _ := f.described(); !slices.Equal(got, []string{"[beside one]"}) {
		t.Errorf("described %v", got)
	}
}
