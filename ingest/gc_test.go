package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/dir"
	"github.com/hartonomous/ingest/storage/storetest"
)

// sweepClaim asks for the job of a gc.
func sweepClaim() ingest.JobRequest {
	c := someoneElse()
	c.Pipeline, c.Source = "gc", "gc"
	return c
}

// collect runs c over the home's store, and returns the names of what was found too.
func (h *home) collect(t *testing.T, c ingest.Collector) (ingest.Collection, []string) {
	t.Helper()
	c.Catalog, c.Store = h.catalog, h.store()
	var found []string
	sum, err := c.Collect(t.Context(), sweepClaim(), func(s ingest.Object) { found = append(found, s.Name) })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return sum, found
}

// names returns the names of all that lies in the store.
func (h *home) names(t *testing.T) []string {
	t.Helper()
	all := map[string]bool{}
	for stray, err := range h.memory.Sweep(t.Context()) {
		must(t, err)
		all[stray.Name] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// TestCollect: what no row needs is found, and goes if it is to; what a row needs stays.
func TestCollect(t *testing.T) {
	h := storeHome(t)
	folder := t.TempDir()
	h.take(t, file(create(t, filepath.Join(folder, "a"), motley())), file(blob(t, filepath.Join(folder, "b"), 3*mib, 1)))
	if sum, found := h.collect(t, ingest.Collector{Remove: true}); sum.Payloads != 0 || sum.Bytes != 0 || len(found) != 0 || sum.Atoms != 0 {
		t.Fatalf("%+v, %v in a store without garbage", sum, found)
	}
	before, needed := h.state(t), h.names(t)
	var orphans []string
	for i := range 2100 { // more than are asked about at once
		p := noise(10, uint64(1000+i))
		_, err := h.memory.Put(t.Context(), ingest.Sum(p), p)
		must(t, err)
		orphans = append(orphans, ingest.Sum(p).String())
	}
	h.memory.Leave("half", noise(7, 1))
	orphans = append(orphans, "tmp/half")
	slices.Sort(orphans)
	want := ingest.Collection{Payloads: 2100, Bytes: 21_007, Remains: 1}
	same := func(sum ingest.Collection) bool {
		return sum.Payloads == want.Payloads && sum.Bytes == want.Bytes && sum.Remains == want.Remains
	}
	if sum, found := h.collect(t, ingest.Collector{Remove: true, OlderThan: time.Hour}); len(found) != 0 {
		t.Errorf("nothing is an hour old, and found is %+v", sum)
	}
	all := h.names(t)
	if sum, found := h.collect(t, ingest.Collector{}); !same(sum) || !slices.Equal(found, orphans) || !slices.Equal(h.names(t), all) {
		t.Errorf("a look found %+v, %d things, and left %d of %d", sum, len(found), len(h.names(t)), len(all))
	}
	if sum, found := h.collect(t, ingest.Collector{Remove: true}); !same(sum) || !slices.Equal(found, orphans) || !slices.Equal(h.names(t), needed) {
		t.Errorf("%+v, %d things, left are %d, needed %d", sum, len(found), len(h.names(t)), len(needed))
	}
	wantState(t, h.state(t), before)
	h.giveBack(t)
}

// TestCollectUnfinished: the payloads of an unfinished model stay, unless it is to go.
func TestCollectUnfinished(t *testing.T) {
	h := storeHome(t)
	folder := t.TempDir()
	good := file(blob(t, filepath.Join(folder, "good"), 3*mib, 1))
	half := file(write(t, filepath.Join(folder, "half"), append(noise(2*mib, 1), noise(6*mib, 2)...))) // shares two segments
	h.take(t, good)
	before := h.state(t)
	breakOff(t, h, half, 2)
	recorded := stored(t, h, half.Files[0].Path).Segments
	stray := int64(h.memory.Payloads()) - 3 - (recorded - 2) // stored, and not recorded
	for _, c := range []ingest.Collector{{}, {Unfinished: true}, {Remove: true}} {
		sum, _ := h.collect(t, c)
		if len(sum.Unfinished) != 1 || sum.Payloads != stray || len(h.models(t)) != 2 {
			t.Errorf("%+v of %+v, want %d payloads", sum, c, stray)
		}
		if c.Remove {
			stray = 0
		}
	}
	h.check(t)
	sum, _ := h.collect(t, ingest.Collector{Remove: true, Unfinished: true})
	if sum.Payloads != recorded-2 || sum.Atoms != recorded-2 || sum.AtomBytes != sum.Bytes {
		t.Errorf("%+v, of %d recorded segments", sum, recorded)
	}
	wantState(t, h.state(t), before)
	h.take(t, half)
	h.giveBack(t)
}

// claim tells the store of the catalogue, as a run does when it begins.
func (h *home) claim(t *testing.T) {
	t.Helper()
	identity, err := h.catalog.Identity(t.Context())
	must(t, err)
	_, err = h.memory.Claim(t.Context(), identity)
	must(t, err)
}

// TestCollectForeign: a store into which the catalogue has put nothing is none of its business, and a look leaves no trace there.
func TestCollectForeign(t *testing.T) {
	h := storeHome(t)
	_, err := h.memory.Claim(t.Context(), "another")
	must(t, err)
	h.memory.Leave("half", noise(7, 1))
	for _, remove := range []bool{false, true} {
		c := ingest.Collector{Catalog: h.catalog, Store: h.memory, Remove: remove}
		if _, err := c.Collect(t.Context(), sweepClaim(), func(ingest.Object) { t.Error("something was found") }); err == nil {
			t.Error("a foreign store was swept")
		}
	}
	if all, err := h.memory.Claims(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("claims %q, %v", all, err)
	}
}

// TestCollectAlone: nothing is swept while somebody works, and nobody begins while it is.
func TestCollectAlone(t *testing.T) {
	h := storeHome(t)
	source := file(blob(t, filepath.Join(t.TempDir(), "blob"), mib, 1))
	orphan := noise(10, 3)
	_, err := h.memory.Put(t.Context(), ingest.Sum(orphan), orphan)
	must(t, err)
	h.claim(t)
	lease, err := h.catalog.Open(t.Context(), claim())
	must(t, err)
	c := ingest.Collector{Catalog: h.catalog, Store: h.memory, Remove: true}
	var busy *ingest.BusyError
	if _, err := c.Collect(t.Context(), sweepClaim(), func(ingest.Object) {}); !errors.As(err, &busy) || busy.Job != lease.Job {
		t.Errorf("while a job is live: %v", err)
	}
	must(t, h.catalog.CloseJob(t.Context(), lease, ingest.Outcome{State: ingest.JobComplete}))
	began, patient := false, claim()
	patient.HolderDead = nil
	_, err = c.Collect(t.Context(), sweepClaim(), func(ingest.Object) {
		began = true
		if _, err := runAs(t, t.Context(), h.ingester(few), patient, source); !errors.Is(err, ingest.ErrBusy) {
			t.Errorf("a run while it sweeps: %v", err)
		}
	})
	if err != nil || !began || h.memory.Payloads() != 0 {
		t.Errorf("%v, %d payloads", err, h.memory.Payloads())
	}
	h.take(t, source)
}

// TestCollectOnlyOurs: a store of two catalogues is refused, before and while it is swept.
func TestCollectOnlyOurs(t *testing.T) {
	store, err := dir.Open(filepath.Join(t.TempDir(), "store"))
	must(t, err)
	folder := t.TempDir()
	sources := []ingest.Source{file(blob(t, filepath.Join(folder, "a"), mib, 1)), file(blob(t, filepath.Join(folder, "b"), mib, 2))}
	h := []*home{rowHome(t), rowHome(t)}
	for i := range h {
		in := h[i].ingester(few)
		in.Store = store
		if _, err := run(t, t.Context(), in, sources[i]); err != nil {
			t.Fatal(err)
		}
	}
	c := ingest.Collector{Catalog: h[0].catalog, Store: store, Remove: true}
	if _, err := c.Collect(t.Context(), sweepClaim(), func(s ingest.Object) { t.Errorf("found %v", s) }); err == nil || !strings.Contains(err.Error(), "2 catalogues") {
		t.Errorf("a store of two catalogues: %v", err)
	}
	late := storeHome(t)
	orphan := noise(10, 3)
	_, err = late.memory.Put(t.Context(), ingest.Sum(orphan), orphan)
	must(t, err)
	c = ingest.Collector{Catalog: late.catalog, Remove: true, Store: &storetest.Faulty{Store: late.memory, Hook: func(ctx context.Context, call storetest.Call) error {
		if call.Verb == "Sweep" && !call.Done {
			_, err := late.memory.Claim(ctx, "another")
			return err
		}
		return nil
	}}}
	if _, err := c.Collect(t.Context(), sweepClaim(), func(s ingest.Object) { t.Errorf("found %v", s) }); err == nil || late.memory.Payloads() != 1 {
		t.Errorf("another catalogue came while it was swept: %v, %d payloads", err, late.memory.Payloads())
	}
}

// TestCollectFails: a store that cannot be listed is an error; one thing that cannot be removed is named, and the others go; a
// store that does not answer ends it. Each time the job has failed.
func TestCollectFails(t *testing.T) {
	h := storeHome(t)
	c := ingest.Collector{Catalog: h.catalog, Store: storetest.Discard{}}
	if _, err := c.Collect(t.Context(), sweepClaim(), nil); err == nil {
		t.Error("a store that cannot be listed was swept")
	}
	for _, name := range []string{"half", "whole"} {
		h.memory.Leave(name, noise(7, 1))
	}
	h.claim(t)
	var fault error
	failing := &storetest.Faulty{Store: h.memory, Hook: func(_ context.Context, call storetest.Call) error {
		if call.Verb == "Remove" && !call.Done {
			defer func() { fault = nil }() // for the first one alone
			return fault
		}
		return nil
	}}
	fault = fmt.Errorf("half: %w", ingest.ErrUnreachable)
	c = ingest.Collector{Catalog: h.catalog, Store: failing, Remove: true}
	if _, err := c.Collect(t.Context(), sweepClaim(), func(ingest.Object) {}); !errors.Is(err, ingest.ErrUnreachable) || len(h.names(t)) != 2 {
		t.Errorf("ended with %v, left %v", err, h.names(t))
	}
	fault = errFault
	var refused []string
	c.Refused = func(s ingest.Object, err error) {
		if refused = append(refused, s.Name); !errors.Is(err, errFault) {
			t.Errorf("%s was refused with %v", s.Name, err)
		}
	}
	sum, err := c.Collect(t.Context(), sweepClaim(), func(ingest.Object) {})
	if err != nil || sum.Refused != 1 || sum.Remains != 1 || !slices.Equal(refused, h.names(t)) {
		t.Errorf("%+v, %v, refused %v, left %v", sum, err, refused, h.names(t))
	}
	for job, err := range h.catalog.AllJobs(t.Context()) {
		if err != nil || job.State != ingest.JobFailed || job.Live || len(job.Problems) != 1 {
			t.Errorf("job %+v, %v", job, err)
		}
	}
}

// TestCollectSpares: what is too young, and what was written again, stays and is counted.
func TestCollectSpares(t *testing.T) {
	h := storeHome(t)
	orphan := noise(10, 3)
	_, err := h.memory.Put(t.Context(), ingest.Sum(orphan), orphan)
	must(t, err)
	h.claim(t)
	for name, c := range map[string]ingest.Collector{
		"young": {Store: h.memory, OlderThan: time.Hour},
		"written again": {Store: &storetest.Faulty{Store: h.memory, Hook: func(_ context.Context, call storetest.Call) error {
			if call.Verb == "Remove" {
				return fmt.Errorf("remove: %w", ingest.ErrModified)
			}
			return nil
		}}},
	} {
		c.Catalog, c.Remove = h.catalog, true
		sum, err := c.Collect(t.Context(), sweepClaim(), func(s ingest.Object) { t.Errorf("%s: found %s", name, s.Name) })
		if err != nil || sum.Young != 1 || sum.YoungBytes != 10 || sum.Payloads+sum.Bytes+sum.Refused != 0 {
			t.Errorf("%s: %+v, %v", name, sum, err)
		}
	}
}
