package rebuild_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/storage/sqlite/sqlitetest"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/codec/codectest"
	"github.com/hartonomous/ingest/ingest/describe"
	"github.com/hartonomous/ingest/ingest/rebuild"
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

// begin ingests a file of one tensor of 32-bit numbers, as models does, and does not complete its model.
func (f *fixture) begin(name string, content []byte) ingest.ModelID {
	f.Helper()
	lease := f.lease()
	id := f.record(lease, name, content)
	f.must(f.catalog.CloseJob(f.Context(), lease, ingest.Outcome{State: ingest.JobFailed}))
	return id
}

// ingest ingests a file as begin does, and completes its model.
func (f *fixture) ingest(name string, content []byte) ingest.ModelID {
	f.Helper()
	lease := f.lease()
	begun := f.record(lease, name, content)
	keeper := describe.Keeper{Catalog: f.catalog, Store: f.store}
	f.must(keeper.Before(f.Context(), begun, 0))
	id, err := f.catalog.Complete(f.Context(), lease, begun, 0)
	f.must(err)
	if id != begun {
		f.must(keeper.Update(f.Context(), []ingest.ModelID{id}, nil))
	}
	f.must(f.catalog.CloseJob(f.Context(), lease, ingest.Outcome{State: ingest.JobComplete}))
	return id
}

// record stores the payloads of a file, and records their rows.
func (f *fixture) record(lease ingest.Lease, name string, content []byte) ingest.ModelID {
	f.Helper()
	must := func(err error) { f.Helper(); f.must(err) }
	must(ingest.ClaimStore(f.Context(), f.catalog, f.store, "memory"))
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
		if s.Bytes <= f.catalog.SmallPayload() {
			n.Payload = payload
		} else {
			n.Address, err = f.store.Put(f.Context(), ingest.Key{Digest: n.Digest}, payload)
			must(err)
		}
		batch.Segments = append(batch.Segments, n)
	}
	must(f.catalog.Record(f.Context(), lease, batch))
	return entry.ID
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

// log reads the descriptions.
func (f *fixture) log() *describe.Log {
	f.Helper()
	log, err := describe.ReadLog(f.Context(), f.store)
	f.must(err)
	return log
}
