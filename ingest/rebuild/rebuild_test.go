package rebuild_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/storage/sqlite/sqlitetest"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/codec/codectest"
	"github.com/hartonomous/ingest/ingest/describe"
	"github.com/hartonomous/ingest/ingest/rebuild"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// fixture is a SQLite catalogue and a store in memory.
type fixture struct {
	*testing.T
	catalog ingest.Catalog
	store   *storetest.Memory
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{T: t, store: &storetest.Memory{}}
	f.open()
	return f
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// open opens a new catalogue, in place of the one before.
func (f *fixture) open() {
	f.Helper()
	f.catalog = sqlitetest.Open(f.T, filepath.Join(f.TempDir(), "catalogue.db"))
}

func (f *fixture) lease() ingest.Lease {
	f.Helper()
	lease, err := f.catalog.Open(f.Context(), ingest.JobRequest{Pipeline: "models", Source: "test",
		Holder: ingest.ThisProcess(), TTL: 1e12})
	f.must(err)
	return lease
}

const segment = 1 << 20

// content is the content of a model's file: equal segments with equal seeds.
func content(segments int, seed uint64) []byte {
	var all []byte
	for i := range segments {
		all = append(all, codectest.Payload("F32", codectest.Weights(seed+uint64(i), segment/4))...)
	}
	return all
}

// ingest ingests a file of one tensor of 32-bit numbers, as models does.
func (f *fixture) ingest(name string, content []byte) ingest.ModelID {
	f.Helper()
	must := func(err error) { f.Helper(); f.must(err) }
	must(ingest.ClaimStore(f.Context(), f.catalog, f.store, "memory"))
	lease := f.lease()
	file := ingest.File{Path: "/" + name, Role: ingest.Weights, Format: "opaque", Bytes: int64(len(content)),
		ExpectedBytes: -1, Tensors: []ingest.Tensor{{Name: "t", Type: "F32", Shape: []uint64{uint64(len(content) / 4)},
			Elements: int64(len(content) / 4), Bytes: int64(len(content)), BlockElements: 1, BlockBytes: 4}}}
	model := &ingest.Model{Name: name, URI: "test://" + name, Type: "opaque", Files: []ingest.File{file},
		Details: ingest.Details{ContextLength: 7, License: "mit"}}
	plan, err := ingest.NewPlan(&model.Files[0], segment)
	must(err)
	entry, err := f.catalog.Begin(f.Context(), lease, model, []*ingest.Plan{plan})
	must(err)
	batch := &ingest.Batch{Model: entry.ID, File: entry.Files[0].ID, To: file.Bytes, Digest: ingest.Sum(content),
		HashState: []byte{1}}
	for s := range plan.All() {
		payload := content[s.Offset:s.End()]
		n := ingest.NewSegment{Segment: s, Layer: entry.Files[0].Layers[0], Type: "F32", Digest: ingest.Sum(payload)}
		n.Address, err = f.store.Put(f.Context(), ingest.Key{Digest: n.Digest}, payload)
		must(err)
		batch.Segments = append(batch.Segments, n)
	}
	must(f.catalog.Record(f.Context(), lease, batch))
	keeper := describe.Keeper{Catalog: f.catalog, Store: f.store}
	must(keeper.Before(f.Context(), entry.ID, 0))
	id, err := f.catalog.Complete(f.Context(), lease, entry.ID, 0)
	must(err)
	if id != entry.ID {
		must(keeper.Update(f.Context(), []ingest.ModelID{id}, nil))
	}
	must(f.catalog.CloseJob(f.Context(), lease, ingest.Outcome{State: ingest.JobComplete}))
	return id
}

// run rebuilds the models, and returns what was refused.
func (f *fixture) run(catalog ingest.Catalog) (sum rebuild.Sum, refused []string, err error) {
	f.Helper()
	r := rebuild.Rebuilder{Catalog: catalog, Store: f.store, Address: "memory", Memory: 1 << 20, TakeOver: true,
		Refused: func(name string, err error) { refused = append(refused, name+": "+err.Error()) }}
	sum, err = r.Run(f.Context(), ingest.JobRequest{Pipeline: "rebuild", Source: "rebuild"})
	return sum, refused, err
}

// lines describes the models of the catalogue without their numbers.
func (f *fixture) lines() (all []string) {
	f.Helper()
	for m, err := range f.catalog.Models(f.Context()) {
		f.must(err)
		if m.State == ingest.ModelRemoving {
			continue
		}
		for i := range m.Names {
			all = append(all, fmt.Sprintf("name %s of %s", m.Names[i].Alias, m.Name))
		}
		for _, file := range m.Files {
			for s, err := range f.catalog.Segments(f.Context(), file.ID, 0) {
				f.must(err)
				all = append(all, fmt.Sprintf("%s %s %s %d %d %s %s", m.Name, m.State, s.Tensor, s.Offset, s.Bytes,
					s.Digest, s.Address.URI))
			}
		}
	}
	return all
}

func (f *fixture) sameLines(want []string) {
	f.Helper()
	if got := f.lines(); !slices.Equal(got, want) {
		f.Errorf("rebuilt\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestFaults fails each call of the catalogue in turn, with and without its effect. The next run
// completes the catalogue.
func TestFaults(t *testing.T) {
	f := newFixture(t)
	f.ingest("one", content(3, 1))
	f.ingest("two", content(3, 2))
	f.ingest("other name", content(3, 1)) // merged
	want := f.lines()
	fault := errors.New("fault")
	for fail := 0; ; fail++ {
		f.open()
		calls := 0
		failing := catalogtest.Faulty(f.catalog, func(string, catalogtest.Moment) error {
			if calls++; calls == fail+1 {
				return fault
			}
			return nil
		})
		_, _, err := f.run(failing)
		if err == nil {
			if calls > fail {
				t.Errorf("call %d failed, and the run did not", fail)
			}
			f.sameLines(want)
			return
		}
		if _, refused, err := f.run(f.catalog); err != nil || len(refused) > 0 {
			t.Fatalf("after a fault in call %d: %v, %v", fail, refused, err)
		}
		f.sameLines(want)
	}
}

// TestRefused: a model whose description is damaged, or whose payload is missing, is named, and the
// others are rebuilt. Nothing of it is left.
func TestRefused(t *testing.T) {
	for name, left := range map[string][]byte{"no payload": nil, "a short payload": make([]byte, 100)} {
		t.Run(name, func(t *testing.T) { refuses(t, left) })
	}
}

func refuses(t *testing.T, left []byte) {
	f := newFixture(t)
	f.ingest("whole", content(2, 1))
	f.ingest("lost", content(2, 10))
	damaged := f.ingest("damaged", content(2, 20))
	m, err := f.catalog.Model(t.Context(), damaged)
	f.must(err)
	lost := content(2, 10)[:segment]
	f.store.Damage(ingest.Sum(lost), left)
	log, err := describe.ReadLog(t.Context(), f.store)
	f.must(err)
	for _, e := range log.Live() {
		if e.Model == describe.Key(m.Files) {
			f.store.DamageDescription(e.File)
		}
	}
	f.open()
	sum, refused, err := f.run(f.catalog)
	f.must(err)
	slices.Sort(refused)
	if sum.Rebuilt != 1 || len(refused) != 2 || sum.Unclaimed != int64(3+min(len(left), 1)) ||
		!strings.Contains(strings.Join(refused, "\n"),
			"lost: 1 of 2 payloads are missing: "+ingest.Sum(lost).String()) ||
		!strings.Contains(strings.Join(refused, "\n"), describe.ErrDamaged.Error()) {
		t.Errorf("%+v, refused %q", sum, refused)
	}
	for m, err := range f.catalog.Models(t.Context()) {
		if f.must(err); m.Name != "whole" {
			t.Errorf("model %s is %s", m.Name, m.State)
		}
	}
	_, err = f.store.Put(t.Context(), ingest.Key{Digest: ingest.Sum(lost)}, lost)
	f.must(err)
	if sum, _, err := f.run(f.catalog); err != nil || sum.Rebuilt != 1 || sum.Present != 1 {
		t.Errorf("with the payload: %+v, %v", sum, err)
	}
}

// TestEncodedSince: payloads were encoded after the description was written, and the raw ones deleted,
// or gc was killed while they were hidden.
func TestEncodedSince(t *testing.T) {
	f := newFixture(t)
	all := content(2, 1)
	f.ingest("one", all)
	raw := all[:segment]
	w := codec.NewWorkers(1, segment)
	worker, err := w.Get(t.Context())
	f.must(err)
	encoded := worker.Encode(worker.Buffer, raw, "F32", codec.Auto)
	key := ingest.Key{Digest: ingest.Sum(raw)}
	key.Encoding = ingest.Encoding{Codec: codec.Name, Stored: ingest.Sum(encoded)}
	_, err = f.store.Put(t.Context(), key, encoded)
	f.must(err)
	f.store.Damage(key.Digest, nil)
	var objects []ingest.Object
	for object, err := range f.store.List(t.Context()) {
		f.must(err)
		objects = append(objects, object)
	}
	killed := errors.New("killed")
	steps := 0
	_, err = f.store.Handle(func() error {
		if steps++; steps > len(objects)+1 {
			return killed
		}
		return nil
	}).Delete(t.Context(), objects, func(context.Context) error { return nil })
	if !errors.Is(err, killed) {
		t.Fatalf("gc ended with %v", err)
	}
	f.open()
	if sum, refused, err := f.run(f.catalog); err != nil || sum.Rebuilt != 1 {
		t.Fatalf("%+v, %q, %v", sum, refused, err)
	}
	m, err := f.catalog.Model(t.Context(), 1)
	f.must(err)
	if m.Details != (ingest.Details{ContextLength: 7, License: "mit"}) {
		t.Errorf("details %+v", m.Details)
	}
	codecs := ""
	for s, err := range f.catalog.Segments(t.Context(), m.Files[0].ID, 0) {
		f.must(err)
		codecs += s.Address.Codec + ";"
	}
	if codecs != codec.Name+";;" {
		t.Errorf("codecs %s", codecs)
	}
}

// TestOwner: only TakeOver lets a new catalogue take the store over, and only one without models.
func TestOwner(t *testing.T) {
	f := newFixture(t)
	f.ingest("one", content(1, 1))
	identity, err := f.catalog.Identity(t.Context())
	f.must(err)
	f.open()
	r := rebuild.Rebuilder{Catalog: f.catalog, Store: f.store, Address: "memory", Memory: 1 << 20}
	var owner *ingest.OwnerError
	if _, err := r.Run(t.Context(), ingest.JobRequest{Pipeline: "rebuild", Source: "r"}); !errors.As(err, &owner) {
		t.Errorf("without TakeOver: %v", err)
	}
	own := &fixture{T: t, catalog: f.catalog, store: &storetest.Memory{}}
	own.ingest("own", content(1, 5))
	if _, _, err := f.run(f.catalog); !errors.Is(err, ingest.ErrNotEmpty) {
		t.Errorf("a catalogue with models: %v", err)
	}
	f.open()
	_, _, err = f.run(f.catalog)
	f.must(err)
	if now, err := f.catalog.Identity(t.Context()); err != nil || now != identity {
		t.Errorf("identity %s, want %s (%v)", now, identity, err)
	}
}
