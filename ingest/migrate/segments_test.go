package migrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
	"github.com/hartonomous/ingest/ingest/migrate"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlite"
	"github.com/hartonomous/ingest/storage/sqlite/sqlitetest"
	"github.com/hartonomous/ingest/storage/storetest"
)

const mib = 1 << 20

// setting is a SQLite catalogue with the payloads of a model in its rows, and a store in memory.
type setting struct {
	*testing.T
	catalog ingest.Catalog
	store   *storetest.Memory
	model   ingest.Summary
	content []byte // of the model's file
	stores  []*storetest.Memory
}

func newSetting(t *testing.T) *setting {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "m.gguf")
	file := gguftest.File{Seed: 1, Tensors: []gguftest.Tensor{{Name: "a", Shape: []uint64{600_000}},
		{Name: "b", Shape: []uint64{100}}, {Name: "c", Shape: []uint64{300_000}}}}
	if err := file.Create(path); err != nil {
		t.Fatal(err)
	}
	catalog := sqlitetest.Open(t, filepath.Join(folder, "catalog.db"))
	in := &pipeline.Ingester{Catalog: catalog, StoreAddress: ingest.StoreRows, Parse: format.Parser{}.Parse,
		Options: pipeline.Options{SegmentBytes: mib}}
	found := ingest.Found{Sources: []ingest.Source{{Name: "m", Files: []ingest.SourceFile{{Path: path,
		Role: ingest.Weights, ExpectedBytes: -1}}}}}
	report, err := in.Run(t.Context(), ingest.JobRequest{Pipeline: "models", Source: path, TTL: time.Minute,
		Holder: ingest.ThisProcess()}, found)
	if err != nil || len(report.Ingested) != 1 {
		t.Fatalf("ingest: %+v, %v", report, err)
	}
	s := &setting{T: t, catalog: catalog, store: &storetest.Memory{}}
	if s.content, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	if s.model, err = catalog.Model(t.Context(), report.Ingested[0].Model); err != nil {
		t.Fatal(err)
	}
	return s
}

// migration returns a migration between the rows and the store.
func (s *setting) migration(toRows, clearSource bool) *migrate.Segments {
	if !slices.Contains(s.stores, s.store) {
		s.stores = append(s.stores, s.store)
	}
	target := fmt.Sprint("memory:", slices.Index(s.stores, s.store)) // each store has an address of its own
	if toRows {
		target = ingest.StoreRows
	}
	return &migrate.Segments{Catalog: s.catalog, Store: s.store, Target: target, ToRows: toRows, Clear: clearSource,
		Pool: buffer.New(64 * mib), Workers: 1}
}

// run runs a migration and checks its report.
func (s *setting) run(m *migrate.Segments, copied, cleared, failed int64) {
	s.Helper()
	r, err := m.Run(s.Context(), []ingest.Summary{s.model})
	if err != nil {
		s.Fatal(err)
	}
	if r.Copied.Rows != copied || r.Cleared.Rows != cleared || r.Failed != failed {
		s.Fatalf("report is %+v, want %d copied, %d cleared, %d failed", r, copied, cleared, failed)
	}
}

// rows counts the rows with a payload, with an address, and all.
func (s *setting) rows() (inRow, stored, all int64) {
	s.Helper()
	for _, segment := range s.segments() {
		all++
		if segment.InRow {
			inRow++
		}
		if segment.Address.URI != "" {
			stored++
		}
	}
	return inRow, stored, all
}

func (s *setting) segments() (list []ingest.StoredSegment) {
	s.Helper()
	r := reader.Reader{Catalog: s.catalog}
	for segment, err := range r.Segments(s.Context(), s.model.Parts()[0], 0) {
		if err != nil {
			s.Fatal(err)
		}
		list = append(list, segment)
	}
	return list
}

// readable checks that the file can be read, and that gc keeps its payloads.
func (s *setting) readable() {
	s.Helper()
	var got bytes.Buffer
	r := &reader.Reader{Catalog: s.catalog, Store: s.store, Pool: buffer.New(64 * mib)}
	if err := s.read(r, &got); err != nil {
		s.Fatalf("read the payloads: %v", err)
	}
	if !bytes.Equal(got.Bytes(), s.content) {
		s.Fatal("the file has other bytes")
	}
	segments := s.segments()
	var digests []ingest.Digest
	for _, segment := range segments {
		digests = append(digests, segment.Digest)
	}
	needed, err := s.catalog.Referenced(s.Context(), digests)
	if err != nil {
		s.Fatal(err)
	}
	for _, segment := range segments {
		if len(needed[segment.Digest]) == 0 && segment.Address.URI != "" {
			s.Fatalf("gc would delete the payload of %s", segment.Place())
		}
	}
	if err := s.catalog.(*sqlite.Catalog).Audit(s.Context()); err != nil {
		s.Fatal(err)
	}
}

// read writes the file, or the payloads of a model without files, to w.
func (s *setting) read(r *reader.Reader, w io.Writer) error {
	if len(s.model.Files) > 0 {
		_, err := r.Open(s.Context(), s.model.Files[0]).WriteTo(w)
		return err
	}
	return r.Each(s.Context(), s.model.Parts()[0], reader.Selection{
		Done: func(_ ingest.StoredSegment, payload []byte, err error) error {
			if err == nil {
				_, err = w.Write(payload)
			}
			return err
		}})
}

// TestSegments moves payloads to the store and back.
func TestSegments(t *testing.T) {
	s := newSetting(t)
	_, _, all := s.rows()
	for _, toRows := range []bool{false, true} {
		s.run(s.migration(toRows, false), all, 0, 0)
		s.readable()
		if inRow, stored, _ := s.rows(); inRow != all || stored != all {
			t.Fatalf("%d payloads in rows and %d in the store, want %d in both", inRow, stored, all)
		}
		s.run(s.migration(toRows, false), 0, 0, 0)
		s.run(s.migration(toRows, true), 0, all, 0)
		s.readable()
		if inRow, stored, _ := s.rows(); inRow+stored != all || (inRow == all) != toRows {
			t.Fatalf("%d payloads in rows and %d in the store, want all of %d in one", inRow, stored, all)
		}
	}
}

// TestDryRun checks that a dry run counts rows and changes nothing.
func TestDryRun(t *testing.T) {
	s := newSetting(t)
	_, _, all := s.rows()
	m := s.migration(false, true)
	m.DryRun = true
	s.run(m, all, all, 0)
	if inRow, stored, _ := s.rows(); inRow != all || stored != 0 || s.store.Payloads() != 0 {
		t.Fatalf("%d of %d payloads in rows, %d in the store, which has %d", inRow, all, stored, s.store.Payloads())
	}
	if owner, err := s.store.Owner(t.Context(), ""); owner != "" || err != nil {
		t.Fatalf("the store has owner %q, %v", owner, err)
	}
}

// TestDamagedCopy checks that a damaged object in the store is replaced, and that the address of a
// damaged copy is removed instead of clearing its source.
func TestDamagedCopy(t *testing.T) {
	s := newSetting(t)
	_, _, all := s.rows()
	first := s.segments()[1]
	payload := s.content[first.Offset : first.Offset+first.Bytes]
	if _, err := s.store.Put(t.Context(), ingest.Key{Digest: first.Digest}, payload); err != nil {
		t.Fatal(err)
	}
	payload = make([]byte, first.Bytes)
	s.store.Damage(first.Digest, payload)
	s.run(s.migration(false, false), all, 0, 0)
	s.store.Damage(first.Digest, payload)
	s.run(s.migration(false, true), 0, all-1, 1)
	s.readable()
	s.run(s.migration(false, true), 1, 1, 0)
	s.readable()
	if inRow, _, _ := s.rows(); inRow != 0 {
		t.Fatalf("%d payloads are still in rows", inRow)
	}
}

// TestLostLease checks that a process that lost its lease changes no row.
func TestLostLease(t *testing.T) {
	s := newSetting(t)
	m := s.migration(false, false)
	take := sync.OnceValue(func() error {
		_, err := s.catalog.Open(t.Context(), ingest.JobRequest{Pipeline: "migrate", TTL: time.Minute,
			Source:     fmt.Sprintf("segments of model %d", s.model.ID),
			Holder:     ingest.Holder{Host: "elsewhere", Process: 1},
			HolderDead: func(ingest.Holder) bool { return true }})
		return err
	})
	m.Store = &storetest.Faulty{Store: s.store, Hook: func(_ context.Context, call storetest.Call) error {
		if call.Verb != "Put" {
			return nil
		}
		return take()
	}}
	if _, err := m.Run(t.Context(), []ingest.Summary{s.model}); !errors.Is(err, ingest.ErrLeaseLost) {
		t.Fatalf("error is %v, want %v", err, ingest.ErrLeaseLost)
	}
	if _, stored, _ := s.rows(); stored != 0 {
		t.Fatalf("%d rows were changed after the lease was lost", stored)
	}
	s.readable()
}

// shortLeases lets the lease of a job expire soon after a run that could not close it.
type shortLeases struct{ ingest.Catalog }

func (c shortLeases) Open(ctx context.Context, request ingest.JobRequest) (ingest.Lease, error) {
	request.TTL = 2 * time.Second
	return c.Catalog.Open(ctx, request)
}

var errFault = errors.New("fault")

// TestEachCallFailsOnce lets each call of the store and the catalogue fail once, before and after
// its effect. The file must stay readable, and the next run must have the same result as one
// without faults.
func TestEachCallFailsOnce(t *testing.T) {
	s := newSetting(t)
	step, verbs := int64(catalogtest.Sample(t, 11)), map[string]int{}
	for _, when := range []catalogtest.Moment{catalogtest.Before, catalogtest.After} {
		for index := int64(0); ; index += step {
			fired := ""
			for _, toRows := range []bool{false, true} {
				verb := s.failOnce(toRows, when, index)
				verbs[verb]++
				fired += verb
				s.readable()
				if _, err := s.migration(toRows, true).Run(t.Context(), []ingest.Summary{s.model}); err != nil {
					t.Fatal(err)
				}
				s.readable()
				if inRow, stored, all := s.rows(); inRow+stored != all || (inRow == all) != toRows {
					t.Fatalf("after a failed %s: %d payloads in rows and %d in the store of %d", verb, inRow, stored,
						all)
				}
			}
			if fired == "" {
				break
			}
		}
	}
	t.Log(verbs)
	for _, verb := range []string{"Owner", "Open", "Put", "Stat", "Get", "AddAddresses", "ClearPayloads", "AddPayloads",
		"ClearAddresses", "CloseJob", "ReadPayload"} {
		if verbs[verb] == 0 && step == 1 {
			t.Errorf("no fault hit %s", verb)
		}
	}
}

// failCall wraps a catalogue and a store so that the call with this index of both fails. failed returns
// its verb; empty if there were fewer calls.
func failCall(
	when catalogtest.Moment,
	index int64,
	catalog *ingest.Catalog,
	store *ingest.Store,
) (failed func() string) {
	var calls atomic.Int64
	var verb atomic.Value
	hook := func(called string, at catalogtest.Moment) error {
		if at != when || called == "Renew" || calls.Add(1)-1 != index {
			return nil
		}
		verb.Store(called)
		return fmt.Errorf("%s: %w", called, errFault)
	}
	*catalog = catalogtest.Faulty(*catalog, hook)
	*store = &storetest.Faulty{Store: *store, Hook: func(_ context.Context, call storetest.Call) error {
		if call.Done {
			return hook(call.Verb, catalogtest.After)
		}
		return hook(call.Verb, catalogtest.Before)
	}}
	return func() string {
		called, _ := verb.Load().(string)
		return called
	}
}

// failOnce runs a migration with one failing call, and returns its verb; empty if there were fewer
// calls.
func (s *setting) failOnce(toRows bool, when catalogtest.Moment, index int64) string {
	s.Helper()
	m := s.migration(toRows, true)
	m.Catalog = shortLeases{s.catalog}
	failed := failCall(when, index, &m.Catalog, &m.Store)
	r, err := m.Run(s.Context(), []ingest.Summary{s.model})
	verb := failed()
	if verb != "" && err == nil && r.Failed == 0 && verb != "Stat" && verb != "Get" && verb != "ReadPayload" {
		s.Fatalf("%s failed, and the report does not have it: %+v", verb, r)
	}
	return verb
}
