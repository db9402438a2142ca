package rebuild_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/describe"
	"github.com/hartonomous/ingest/ingest/rebuild"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/storetest"
)

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

// jobFailed checks that the last job failed, and names so many problems.
func (f *fixture) jobFailed(problems int) {
	f.Helper()
	var last ingest.Job
	for job, err := range f.catalog.AllJobs(f.Context()) {
		if f.must(err); job.ID > last.ID {
			last = job
		}
	}
	if last.State != ingest.JobFailed || len(last.Problems) != problems {
		f.Errorf("job %+v, want %d problems", last, problems)
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
	log := f.log()
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
	f.jobFailed(len(refused) + 1) // and the payloads that no model has
	if _, _, err := f.run(catalogtest.Faulty(f.catalog, func(verb string, _ catalogtest.Moment) error {
		if verb == "Referenced" {
			return errFault
		}
		return nil
	})); !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	f.jobFailed(len(refused) + 1) // and the fault
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

// smaller is a catalogue that has no payloads of more than 10 bytes in its rows.
type smaller struct{ ingest.Catalog }

func (smaller) SmallPayload() int64 { return 10 }

// TestSmall: a small payload gets a row again, or is stored if it is too large for a row of the new catalogue.
func TestSmall(t *testing.T) {
	f := newFixture(t)
	f.ingest("small", content(1, 1)[:100])
	for payloads, open := range []func() ingest.Catalog{
		func() ingest.Catalog { return f.catalog },
		func() ingest.Catalog { return smaller{f.catalog} },
	} {
		f.open()
		if sum, refused, err := f.run(open()); err != nil || sum.Rebuilt != 1 {
			t.Fatalf("%+v, %q, %v", sum, refused, err)
		}
		m, err := f.catalog.Model(t.Context(), 1)
		f.must(err)
		for s, err := range f.catalog.Segments(t.Context(), m.Files[0].ID, 0) {
			if f.must(err); s.InStore() != (payloads == 1) || s.Small == s.InStore() || f.store.Payloads() != payloads {
				t.Errorf("segment %+v, %d payloads in the store", s, f.store.Payloads())
			}
		}
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
