package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/storetest"
)

var errFault = errors.New("fault")

// fault makes call number index fail, counted over the store and the catalogue.
type fault struct {
	index int64
	when  catalogtest.Moment
	calls atomic.Int64
	verb  atomic.Value // of the call that failed
}

func (f *fault) hook(verb string, when catalogtest.Moment) error {
	if when != f.when || f.calls.Add(1)-1 != f.index {
		return nil
	}
	f.verb.Store(verb)
	return fmt.Errorf("%s: %w", verb, errFault)
}

// fired returns the verb that failed; empty for none.
func (f *fault) fired() string {
	verb, _ := f.verb.Load().(string)
	return verb
}

// into adds the fault to an Ingester.
func (f *fault) into(in *pipeline.Ingester) *pipeline.Ingester {
	in.Catalog = catalogtest.Faulty(in.Catalog, f.hook)
	if in.Store != nil {
		in.Store = &storetest.Faulty{Store: in.Store, Hook: func(_ context.Context, call storetest.Call) error {
			when := catalogtest.Before
			if call.Done {
				when = catalogtest.After
			}
			return f.hook(call.Verb, when)
		}}
	}
	return in
}

// faultSources returns sources that make a run use every verb of catalogue and store; before are
// ingested first.
func faultSources(t *testing.T) (before, during []ingest.Source) {
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	main := create(t, in("weights"), tiny(1))
	old, later := blob(t, in("old"), 100, 2), blob(t, in("later"), 40<<10, 3) // only the second is put
	part := file(create(t, in("part"), tiny(2)))                              // a model of two files
	part.Files = append(part.Files, file(create(t, in("other"), tiny(3))).Files...)
	before = []ingest.Source{named("m:a", main, old)}
	during = []ingest.Source{
		named("m:b", main, old, later), // is attached and gains a file
		file(blob(t, in("opaque"), 2*mib+5, 4)),
		file(blob(t, in("empty"), 0, 0)),
		file(blob(t, in("small"), 100_000, 5)), // goes to the store
		copied(t, main, in("copy")),            // is merged
		part,
	}
	return before, during
}

// tiny is a GGUF file of four segments. Two of them are encoded.
func tiny(seed uint64) gguftest.File {
	return gguftest.File{Seed: seed, Tensors: []gguftest.Tensor{weights("a", seed, 300_000),
		{Name: "b", Type: gguf.TypeQ4_0, Shape: []uint64{32, 100}}}}
}

// serial makes the order of calls nearly the same each time.
var serial = pipeline.Options{SegmentBytes: mib, MemoryBytes: 50 * mib, Jobs: 1, Workers: 1, BatchBytes: mib,
	Compress: codec.Auto}

// TestEachCallFailsOnce: whichever call fails, before or after its effect, the next run reaches the
// state of a run without faults, and no row is ever without its payload.
func TestEachCallFailsOnce(t *testing.T) {
	eachHome(t, func(t *testing.T, h *home) {
		before, during := faultSources(t)
		h.ingest(t, before...)
		base := takeSnapshot(t, h)
		clean := base.restore(t)
		clean.ingest(t, during...)
		clean.checkExports(t)
		want := clean.state(t)
		step, failed := int64(catalogtest.Sample(t, 13)), map[string]int{}
		for _, when := range []catalogtest.Moment{catalogtest.Before, catalogtest.After} {
			for index, fired := (step-1)*int64(when)/2, true; fired; index += step {
				fired = false
				t.Run(fmt.Sprint([]string{"before", "after"}[when], index), func(t *testing.T) {
					verb := failOnce(t, base.restore(t), &fault{index: index, when: when}, during, want)
					fired = verb != ""
					failed[verb]++
				})
			}
		}
		delete(failed, "")
		t.Log(failed)
		verbs := []string{"Record"}
		if h.memory != nil {
			verbs = append(verbs, "Owner", "Put", "Addresses", "Reuse")
		}
		verbs = append(verbs, "Open", "Unchanged", "Model", "Attach", "Begin", "Complete", "Add", "CloseJob")
		for _, verb := range verbs {
			if failed[verb] == 0 && step == 1 {
				t.Errorf("no call of %s has failed", verb)
			}
		}
	})
}

// failOnce runs with a fault and then without, and returns the verb that failed.
func failOnce(t *testing.T, h *home, f *fault, sources []ingest.Source, want string) string {
	report, err := run(t, t.Context(), f.into(h.ingester(serial)), sources...)
	if f.fired() == "" {
		if err != nil {
			t.Fatal(err)
		}
	} else if !errors.Is(err, errFault) {
		t.Fatalf("%s failed, and the run ended with %v", f.fired(), err)
	}
	h.check(t)
	if report != nil && len(report.Refused) > 0 {
		t.Fatalf("%s failed, and %v were refused", f.fired(), report.Refused)
	}
	if report != nil && f.fired() != "CloseJob" && f.fired() != "" {
		if job, err := h.catalog.Job(t.Context(), report.Job); err != nil || job.State != ingest.JobOpen ||
			len(job.Problems) != 1 {
			t.Errorf("after a fault in %s the job is %+v, %v", f.fired(), job, err)
		}
	}
	h.ingest(t, sources...)
	checkState(t, h.state(t), want)
	return f.fired()
}

// TestDiskFull: the disk is full from some Put on, and the next run has space again.
func TestDiskFull(t *testing.T) {
	_, sources := faultSources(t)
	sources = sources[1:] // no two of them are merged
	clean := storeHome(t)
	clean.ingest(t, sources...)
	want := clean.state(t)
	step := catalogtest.Sample(t, 4)
	for room := 0; room < clean.memory.Counts().Written; room += step {
		h := storeHome(t)
		var puts atomic.Int64
		in := h.ingester(small)
		in.Store = &storetest.Faulty{Store: h.memory, Hook: func(_ context.Context, call storetest.Call) error {
			if call.Verb == "Put" && !call.Done && puts.Add(1) > int64(room) {
				return syscall.ENOSPC
			}
			return nil
		}}
		report, err := run(t, t.Context(), in, sources...)
		if !errors.Is(err, syscall.ENOSPC) || len(report.Refused) != 0 || report.Interrupted {
			t.Fatalf("room for %d payloads: %+v, %v", room, report, err)
		}
		h.check(t)
		h.ingest(t, sources...)
		checkState(t, h.state(t), want)
	}
}

// TestRenewalFails: a failed renewal does not stop the run unless the lease is lost.
func TestRenewalFails(t *testing.T) {
	h := storeHome(t)
	in := h.ingester(small)
	var renewals atomic.Int64
	in.Catalog = catalogtest.Faulty(h.catalog, func(verb string, when catalogtest.Moment) error {
		if verb == "Renew" && when == catalogtest.Before {
			renewals.Add(1)
			return errFault
		}
		return nil
	})
	in.Store = &storetest.Faulty{Store: h.memory, Hook: func(_ context.Context, call storetest.Call) error {
		for call.Verb == "Put" && call.Done && renewals.Load() < 2 { // wait for two renewals
			time.Sleep(time.Millisecond)
		}
		return nil
	}}
	request := jobRequest()
	request.TTL = 30 * time.Millisecond
	report, err := runAs(t, t.Context(), in, request, file(blob(t, filepath.Join(t.TempDir(), "blob"), 2*mib, 1)))
	if err != nil || len(report.Ingested) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestRefusalAmongFaults: if a call fails while a file with the wrong digest is refused, the next
// run refuses it, and it leaves no rows.
func TestRefusalAmongFaults(t *testing.T) {
	folder := t.TempDir()
	good := create(t, filepath.Join(folder, "good"), tiny(1))
	bad := copied(t, good, filepath.Join(folder, "bad"))
	damage(t, bad.Files[0].Path, 1000)
	bad.Files[0].Expected = sum(t, good)
	h := rowHome(t)
	h.ingest(t, file(good))
	base := takeSnapshot(t, h)
	want := base.restore(t).state(t)
	failed := map[string]int{}
	for _, when := range []catalogtest.Moment{catalogtest.Before, catalogtest.After} {
		for index, fired := int64(0), true; fired; index++ {
			h, f := base.restore(t), &fault{index: index, when: when}
			report, err := run(t, t.Context(), f.into(h.ingester(serial)), bad)
			h.check(t)
			failed[f.fired()]++
			fired = f.fired() != ""
			if err == nil { // errors of the comparison that finds the parts do not fail the run
				refusal(t, report, bad.Files[0].Path)
			} else if !errors.Is(err, errFault) {
				t.Fatalf("%s failed, and the run ended with %v", f.fired(), err)
			}
			if report, err := run(t, t.Context(), h.ingester(serial), bad); err != nil || len(report.Refused) != 1 {
				t.Fatalf("after a fault in %s: %+v, %v", f.fired(), report, err)
			}
			checkState(t, h.state(t), want)
		}
	}
	t.Log(failed)
	for _, verb := range []string{"Abandon", "FileWithDigest", "Segments"} {
		if failed[verb] == 0 {
			t.Errorf("no call of %s has failed", verb)
		}
	}
}
