package gc_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
	"github.com/hartonomous/ingest/ingest/gc"
	"github.com/hartonomous/ingest/ingest/lease"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlite/sqlitetest"
	"github.com/hartonomous/ingest/storage/storetest"
)

const mib = 1 << 20

var errFault = errors.New("fault")

// fixture is a SQLite catalogue and a store in memory.
type fixture struct {
	*testing.T
	catalog ingest.Catalog
	memory  *storetest.Memory
	folder  string // of source files
	// described makes run describe models in memory.
	described bool
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	catalog := sqlitetest.Open(t, filepath.Join(t.TempDir(), "catalogue.db"))
	return &fixture{T: t, catalog: catalog, memory: &storetest.Memory{}, folder: t.TempDir()}
}

func (h *fixture) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// noise returns n bytes that depend on seed.
func noise(n int, seed uint64) []byte {
	p := make([]byte, n)
	gguftest.Fill(p, seed, 0)
	return p
}

// request returns another process's request for a job.
func request(pipeline string) ingest.JobRequest {
	holder := ingest.ThisProcess()
	holder.Process++
	return ingest.JobRequest{Pipeline: pipeline, Source: pipeline, Holder: holder, TTL: lease.DefaultTTL}
}

// run ingests a file with this name and content into catalog.
func (h *fixture) run(catalog ingest.Catalog, request ingest.JobRequest, name string, content []byte) error {
	h.Helper()
	path := filepath.Join(h.folder, name)
	if _, err := os.Stat(path); err != nil {
		h.must(os.WriteFile(path, content, 0o600))
	}
	in := pipeline.Ingester{Catalog: catalog, Store: h.memory, Parse: format.Parser{}.Parse,
		Options: pipeline.Options{SegmentBytes: mib, MemoryBytes: 46 * mib, Jobs: 1, Workers: 1, BatchBytes: mib}}
	if h.described {
		in.Descriptions = h.memory
	}
	source := ingest.Source{
		URI:   "test://" + name,
		Files: []ingest.SourceFile{{Path: path, Role: ingest.Weights, ExpectedBytes: -1}},
	}
	report, err := in.Run(h.Context(), request, ingest.Found{Sources: []ingest.Source{source}})
	if err == nil && len(report.Refused) > 0 {
		err = report.Refused[0].Reason
	}
	return err
}

func (h *fixture) ingest(name string, content []byte) {
	h.Helper()
	h.must(h.run(h.catalog, request("models"), name, content))
}

// failAtRecord ingests content until Record was called records times.
func (h *fixture) failAtRecord(name string, content []byte, records int) {
	h.Helper()
	failing := catalogtest.Faulty(h.catalog, func(verb string, when catalogtest.Moment) error {
		if verb == "Record" && when == catalogtest.Before {
			if records--; records < 0 {
				return errFault
			}
		}
		return nil
	})
	if err := h.run(failing, request("models"), name, content); !errors.Is(err, errFault) {
		h.Fatalf("the run ended with %v", err)
	}
}

// orphan puts a payload without a row into the store, and makes the catalogue the store's owner.
func (h *fixture) orphan(p []byte) ingest.Digest {
	h.Helper()
	h.must(ingest.ClaimStore(h.Context(), h.catalog, h.memory, "memory"))
	digest := ingest.Sum(p)
	_, err := h.memory.Put(h.Context(), ingest.Key{Digest: digest}, p)
	h.must(err)
	return digest
}

// collect runs c, and also returns the names of the objects found.
func (h *fixture) collect(c gc.Collector) (gc.Collection, []string) {
	h.Helper()
	c.Catalog, c.Store = h.catalog, h.memory
	var found []string
	sum, err := c.Collect(h.Context(), request("gc"), func(o ingest.Object) { found = append(found, o.Name) })
	h.must(err)
	slices.Sort(found)
	return sum, found
}

// names returns the names of all objects in the store.
func (h *fixture) names() []string {
	h.Helper()
	all := map[string]bool{}
	for object, err := range h.memory.List(h.Context()) {
		h.must(err)
		all[object.Name] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// segments yields the segments of all files.
func (h *fixture) segments() iter.Seq[ingest.StoredSegment] {
	return func(yield func(ingest.StoredSegment) bool) {
		for m, err := range h.catalog.Models(h.Context()) {
			h.must(err)
			for _, f := range m.Files {
				for segment, err := range h.catalog.Segments(h.Context(), f.ID, 0) {
					h.must(err)
					if !yield(segment) {
						return
					}
				}
			}
		}
	}
}

// check fails if a row's payload is missing, and returns the number of rows.
func (h *fixture) check() (rows int) {
	h.Helper()
	for segment := range h.segments() {
		rows++
		payload := make([]byte, segment.Address.Bytes)
		if err := h.memory.Get(h.Context(), segment.Digest, segment.Address, 0, payload); err != nil ||
			ingest.Sum(payload) != segment.Digest {
			h.Errorf("%s: %v", segment.Place(), err)
		}
	}
	return rows
}

// TestCollect: payloads that no row needs are found, and deleted with Remove. Needed ones are kept.
func TestCollect(t *testing.T) {
	h := newFixture(t)
	h.ingest("a", noise(3*mib, 1))
	if sum, found := h.collect(gc.Collector{Remove: true}); sum.Payloads != 0 || sum.Bytes != 0 || len(found) != 0 ||
		sum.Atoms != 0 {
		t.Fatalf("%+v, %v in a store without garbage", sum, found)
	}
	needed := h.names()
	var orphans []string
	for i := range 2100 { // several batches
		orphans = append(orphans, h.orphan(noise(10, uint64(1000+i))).String())
	}
	h.memory.Leave("half", noise(7, 1))
	orphans = append(orphans, "tmp/half")
	slices.Sort(orphans)
	want := gc.Collection{Payloads: 2100, Bytes: 21_007, Remains: 1}
	same := func(sum gc.Collection) bool {
		return sum.Payloads == want.Payloads && sum.Bytes == want.Bytes && sum.Remains == want.Remains
	}
	if sum, found := h.collect(gc.Collector{Remove: true, OlderThan: time.Hour}); len(found) != 0 ||
		sum.Young != 2101 || sum.YoungBytes != 21_007 {
		t.Errorf("nothing is an hour old, but gc found %+v", sum)
	}
	all := h.names()
	if sum, found := h.collect(gc.Collector{}); !same(sum) || !slices.Equal(found, orphans) ||
		!slices.Equal(h.names(), all) {
		t.Errorf("without Remove: %+v, %d objects found, %d of %d left", sum, len(found), len(h.names()), len(all))
	}
	if sum, found := h.collect(gc.Collector{Remove: true}); !same(sum) || !slices.Equal(found, orphans) ||
		!slices.Equal(h.names(), needed) {
		t.Errorf("%+v, %d objects found, %d left, %d needed", sum, len(found), len(h.names()), len(needed))
	}
	if rows := h.check(); rows != 3 {
		t.Errorf("%d rows", rows)
	}
}

// TestCollectUnfinished: the payloads of an unfinished model are kept unless Unfinished is set.
func TestCollectUnfinished(t *testing.T) {
	h := newFixture(t)
	h.ingest("good", noise(3*mib, 1))
	half := append(noise(2*mib, 1), noise(6*mib, 2)...) // shares two segments
	h.failAtRecord("half", half, 4)
	recorded := int64(h.check()) - 3 - 2 // without the shared ones
	orphans := int64(h.memory.Payloads()) - 3 - recorded
	for _, c := range []gc.Collector{{}, {Unfinished: true}, {Remove: true}} {
		sum, _ := h.collect(c)
		if len(sum.Unfinished) != 1 || sum.Payloads != orphans {
			t.Errorf("%+v of %+v, want %d payloads", sum, c, orphans)
		}
		if c.Remove {
			orphans = 0
		}
	}
	h.check()
	sum, _ := h.collect(gc.Collector{Remove: true, Unfinished: true})
	if recorded == 0 || sum.Payloads != recorded || sum.Atoms != recorded || sum.AtomBytes != sum.Bytes {
		t.Errorf("%+v, of %d recorded segments", sum, recorded)
	}
	if rows := h.check(); rows != 3 || h.memory.Payloads() != 3 {
		t.Errorf("%d rows, %d payloads", rows, h.memory.Payloads())
	}
	h.ingest("half", half)
	h.check()
}

// TestCollectOtherStore: a store of another catalogue, or of none, is refused and not changed.
func TestCollectOtherStore(t *testing.T) {
	for owner, want := range map[string]string{
		"": "has never used this store", "another": "belongs to catalogue another",
	} {
		h := newFixture(t)
		_, err := h.memory.Owner(t.Context(), owner)
		h.must(err)
		h.memory.Leave("half", noise(7, 1))
		for _, remove := range []bool{false, true} {
			c := gc.Collector{Catalog: h.catalog, Store: h.memory, Remove: remove}
			_, err := c.Collect(t.Context(), request("gc"), func(ingest.Object) { t.Error("something was found") })
			if err == nil || !strings.Contains(err.Error(), want) ||
				!strings.Contains(err.Error(), "nothing was removed") {
				t.Errorf("of a store of %q: %v", owner, err)
			}
		}
		if now, err := h.memory.Owner(t.Context(), ""); err != nil || now != owner || len(h.names()) != 1 {
			t.Errorf("the owner is %q, was %q, %v", now, owner, err)
		}
	}
}

// TestCollectExclusive: gc does not start beside another job, and no other job starts beside gc.
func TestCollectExclusive(t *testing.T) {
	h := newFixture(t)
	h.orphan(noise(10, 3))
	lease, err := h.catalog.Open(t.Context(), request("models"))
	h.must(err)
	c := gc.Collector{Catalog: h.catalog, Store: h.memory, Remove: true}
	var busy *ingest.BusyError
	if _, err := c.Collect(t.Context(), request("gc"), func(ingest.Object) {}); !errors.As(err, &busy) ||
		busy.Job != lease.Job {
		t.Errorf("while a job is live: %v", err)
	}
	h.must(h.catalog.CloseJob(t.Context(), lease, ingest.Outcome{State: ingest.JobComplete}))
	began := false
	_, err = c.Collect(t.Context(), request("gc"), func(ingest.Object) {
		began = true
		if err := h.run(h.catalog, request("models"), "blob", noise(mib, 1)); !errors.Is(err, ingest.ErrBusy) {
			t.Errorf("a run during gc: %v", err)
		}
	})
	if err != nil || !began || h.memory.Payloads() != 0 {
		t.Errorf("%v, %d payloads", err, h.memory.Payloads())
	}
	h.ingest("blob", nil)
	h.check()
}

// failingStore fails to delete the first object.
type failingStore struct {
	*storetest.Memory
	fault error
}

func (r failingStore) Delete(ctx context.Context, objects []ingest.Object, confirm func(context.Context) error) (
	[]error, error) {
	failed, err := r.Memory.Delete(ctx, objects[1:], confirm)
	return append([]error{r.fault}, failed...), err
}

// TestCollectFails: an object that cannot be deleted is reported, and the others are deleted. An
// unreachable store ends gc. The job is partial, and failed.
func TestCollectFails(t *testing.T) {
	h := newFixture(t)
	h.orphan(nil)
	for _, name := range []string{"half", "whole"} {
		h.memory.Leave(name, noise(7, 1))
	}
	unreachable := failingStore{h.memory, fmt.Errorf("delete: %w", ingest.ErrUnreachable)}
	c := gc.Collector{Catalog: h.catalog, Store: unreachable, Remove: true}
	_, err := c.Collect(t.Context(), request("gc"), func(ingest.Object) {})
	if !errors.Is(err, ingest.ErrUnreachable) || len(h.names()) != 1 {
		t.Errorf("ended with %v, left %v", err, h.names())
	}
	h.memory.Leave("more", noise(7, 1))
	c.Store = failingStore{h.memory, errFault}
	var refused []string
	c.Refused = func(o ingest.Object, err error) {
		if refused = append(refused, o.Name); !errors.Is(err, errFault) {
			t.Errorf("%s was refused with %v", o.Name, err)
		}
	}
	sum, err := c.Collect(t.Context(), request("gc"), func(ingest.Object) {})
	if err != nil || sum.Refused != 1 || sum.Remains+sum.Payloads != 1 || !slices.Equal(refused, h.names()) {
		t.Errorf("%+v, %v, refused %v, left %v", sum, err, refused, h.names())
	}
	jobs := 0
	states := []ingest.JobState{ingest.JobFailed, ingest.JobPartial}
	for job, err := range h.catalog.AllJobs(t.Context()) {
		if jobs++; err != nil || jobs > len(states) || job.State != states[jobs-1] || job.Live ||
			len(job.Problems) != 1 {
			t.Errorf("job %+v, %v", job, err)
		}
	}
	if jobs != len(states) {
		t.Errorf("%d jobs", jobs)
	}
}

// TestCollectModified: an object that was overwritten since it was listed is kept and counted.
func TestCollectModified(t *testing.T) {
	h := newFixture(t)
	h.orphan(noise(10, 3))
	modified := failingStore{h.memory, fmt.Errorf("remove: %w", ingest.ErrModified)}
	c := gc.Collector{Catalog: h.catalog, Store: modified, Remove: true}
	sum, err := c.Collect(t.Context(), request("gc"), func(o ingest.Object) { t.Errorf("found %s", o.Name) })
	if err != nil || sum.Young != 1 || sum.YoungBytes != 10 || sum.Payloads+sum.Bytes+sum.Refused != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// hideAsKilledGC hides everything in the store, like a gc that is killed after step 3.
func (h *fixture) hideAsKilledGC() {
	h.Helper()
	var all []ingest.Object
	for object, err := range h.memory.List(h.Context()) {
		h.must(err)
		all = append(all, object)
	}
	dead := false
	_, err := h.memory.Handle(func() error {
		if dead {
			return errFault
		}
		return nil
	}).Delete(h.Context(), all, func(context.Context) error { dead = true; return nil })
	if !errors.Is(err, errFault) {
		h.Fatal(err)
	}
}

// TestCollectAfterKill: gc restores what a killed gc hid and rows need, and deletes the rest.
// Without Remove it does neither.
func TestCollectAfterKill(t *testing.T) {
	h := newFixture(t)
	h.ingest("a", noise(2*mib, 1))
	h.orphan(noise(10, 3))
	h.hideAsKilledGC()
	hidden := func() (n int) {
		for object := range h.memory.List(t.Context()) {
			if object.Hidden {
				n++
			}
		}
		return n
	}
	h.check()
	if sum, _ := h.collect(gc.Collector{}); sum.Payloads != 1 || hidden() != 3 {
		t.Errorf("without Remove: %+v, %d are hidden", sum, hidden())
	}
	if sum, _ := h.collect(gc.Collector{Remove: true}); sum.Payloads != 1 || sum.Young != 0 || hidden() != 0 ||
		h.memory.Payloads() != 2 {
		t.Errorf("%+v, %d are hidden, of %d", sum, hidden(), h.memory.Payloads())
	}
	h.check()
}

// TestCollectPaused pauses gc before and after each of its calls to the catalogue and the store. In
// the pause, another process ingests the content that gc is about to delete, or puts its payloads
// and records them after gc. It takes over from gc as if gc's lease had expired. Afterwards,
// nothing that a row needs is missing or hidden.
func TestCollectPaused(t *testing.T) {
	t.Run("a run", func(t *testing.T) {
		pauseAtEachCall(t, func(h *fixture, content []byte) (finish func()) {
			h.must(h.run(h.catalog, takeOverRequest(), "blob", content))
			return func() {}
		})
	})
	t.Run("a run without its rows", func(t *testing.T) {
		pauseAtEachCall(t, func(h *fixture, content []byte) (finish func()) {
			recording, resume, ended := make(chan struct{}, 100), make(chan struct{}), make(chan error, 1)
			slow := catalogtest.Faulty(h.catalog, func(verb string, when catalogtest.Moment) error {
				if verb == "Record" && when == catalogtest.Before {
					recording <- struct{}{}
					<-resume
				}
				return nil
			})
			go func() { ended <- h.run(slow, takeOverRequest(), "blob", content) }()
			<-recording
			return func() {
				close(resume)
				h.must(<-ended)
			}
		})
	})
}

// takeOverRequest is the request of a run for which gc's process is dead.
func takeOverRequest() ingest.JobRequest {
	request := request("models")
	request.Holder.Process++
	request.HolderDead = func(holder ingest.Holder) bool { return holder.Process != request.Holder.Process }
	return request
}

// pauseAtEachCall runs gc repeatedly, each time with a pause at a later call. others run during the
// pause, and finish after gc.
func pauseAtEachCall(t *testing.T, others func(h *fixture, content []byte) (finish func())) {
	content, step := noise(2*mib, 7), catalogtest.Sample(t, 5)
	for pauseAt, paused := 0, true; paused; pauseAt += step {
		h := newFixture(t)
		for part := range slices.Chunk(content, mib) { // like the payloads of a killed run
			h.orphan(part)
		}
		calls, finish := 0, func() {}
		paused = false
		pause := func() {
			if calls++; calls == pauseAt+1 {
				paused = true
				finish = others(h, content)
			}
		}
		c := gc.Collector{Remove: true,
			Catalog: catalogtest.Faulty(h.catalog, func(string, catalogtest.Moment) error { pause(); return nil }),
			Store: &storetest.Faulty{
				Store: h.memory,
				Hook:  func(context.Context, storetest.Call) error { pause(); return nil },
			}}
		_, err := c.Collect(t.Context(), request("gc"), func(ingest.Object) {})
		finish()
		if rows := h.check(); paused && rows != 2 {
			t.Errorf("paused at call %d: %d rows", pauseAt, rows)
		}
		if !paused && (err != nil || pauseAt < 10 || h.memory.Payloads() != 0) {
			t.Errorf("after %d calls: %v, %d payloads are left", calls, err, h.memory.Payloads())
		}
		if sum, _ := h.collect(gc.Collector{Remove: true}); sum.Refused != 0 {
			t.Errorf("paused at call %d, the next gc: %+v", pauseAt, sum)
		}
		h.check()
		for object := range h.memory.List(t.Context()) {
			if object.Hidden {
				t.Errorf("paused at call %d: %s is still hidden", pauseAt, object.Name)
			}
		}
		if t.Failed() {
			t.Fatalf("gc was paused at call %d: %v", pauseAt, err)
		}
	}
}

// TestCollectNeeded: if a program without a lease records a row during gc, the whole batch is kept.
func TestCollectNeeded(t *testing.T) {
	h := newFixture(t)
	h.orphan(noise(10, 3))
	digest := h.orphan(noise(10, 4))
	asked := 0
	c := gc.Collector{Catalog: appearingRow{h.catalog, digest, &asked}, Store: h.memory, Remove: true}
	_, err := c.Collect(t.Context(), request("gc"), func(o ingest.Object) { t.Errorf("found %s", o.Name) })
	if err == nil || !strings.Contains(err.Error(), digest.String()) ||
		!strings.Contains(err.Error(), "run gc again") ||
		h.memory.Payloads() != 2 {
		t.Errorf("%v, %d payloads", err, h.memory.Payloads())
	}
}

// appearingRow is a catalogue in which a row appears after the first call of Referenced.
type appearingRow struct {
	ingest.Catalog
	digest ingest.Digest
	asked  *int
}

func (n appearingRow) Referenced(context.Context, []ingest.Digest) (map[ingest.Digest][]string, error) {
	if *n.asked++; *n.asked == 1 {
		return nil, nil
	}
	return map[ingest.Digest][]string{n.digest: {""}}, nil
}
