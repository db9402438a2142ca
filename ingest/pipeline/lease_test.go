package pipeline_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// someoneElse is the claim of another process on the same job.
func someoneElse() ingest.JobRequest {
	c := claim()
	c.Holder.Process++
	c.HolderDead = nil
	return c
}

// TestTakenOver: a process that is paused until its lease has lapsed loses the job. What it writes then is refused, its
// run ends with ErrLeaseLost, and the second one's result is whole.
func TestTakenOver(t *testing.T) {
	for _, moment := range []string{"before a payload", "before rows", "before completing"} {
		t.Run(moment, func(t *testing.T) {
			eachHome(t, func(t *testing.T, h *home) {
				if moment == "before a payload" && h.memory == nil {
					t.Skip("this home has no store, and so no Put")
				}
				takenOver(t, h, map[string]string{"before a payload": "Put", "before rows": "Record",
					"before completing": "Complete"}[moment])
			})
		})
	}
}

func takenOver(t *testing.T, h *home, at string) {
	path := blob(t, filepath.Join(t.TempDir(), "blob"), 6*mib, 1)
	paused, resume := make(chan struct{}), make(chan struct{})
	var calls, over atomic.Int64
	hook := func(verb string, after bool) error {
		if verb == at && !after && calls.Add(1) == 1 {
			close(paused)
			<-resume
		}
		if verb == "Renew" && over.Load() == 0 && calls.Load() > 0 {
			return errors.New("the process is paused")
		}
		return nil
	}
	in := hooked(h, hook)
	claim := claim()
	claim.TTL = 50 * time.Millisecond
	ended := make(chan error, 1)
	go func() {
		_, err := in.Run(t.Context(), claim, ingest.Found{Sources: []ingest.Source{file(path)}})
		ended <- err
	}()
	<-paused
	second := reopen(t, h)
	other := someoneElse()
	var busy *ingest.BusyError
	for {
		report, err := runAs(t, t.Context(), second.ingester(few), other, file(path))
		if errors.As(err, &busy) {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if err != nil || !report.Continued || len(report.Ingested) != 1 {
			t.Fatalf("the second process: %+v, %v", report, err)
		}
		break
	}
	want := h.state(t)
	over.Store(1)
	close(resume)
	if err := <-ended; !errors.Is(err, ingest.ErrLeaseLost) {
		t.Errorf("the first process ended with %v", err)
	}
	wantState(t, h.state(t), want)
	h.giveBack(t)
}

// hooked is an Ingester whose every call goes through hook.
func hooked(h *home, hook func(verb string, after bool) error) *pipeline.Ingester {
	in := h.ingester(few)
	in.Catalog = catalogtest.Faulty(h.catalog, func(verb string,
		when catalogtest.Moment) error {
		return hook(verb, when == catalogtest.After)
	})
	if in.Store != nil {
		in.Store = &storetest.Faulty{Store: h.memory, Hook: func(_ context.Context,
			call storetest.Call) error {
			return hook(call.Verb, call.Done)
		}}
	}
	return in
}

// TestLossIsNoticed: a run whose lease was taken away ends, although none of its calls fails by itself, and says why.
func TestLossIsNoticed(t *testing.T) {
	for _, waits := range []string{"a store that waits", "a store that goes on"} {
		t.Run(waits, func(t *testing.T) {
			h := storeHome(t)
			in := h.ingester(few)
			in.Catalog = catalogtest.Faulty(h.catalog, func(verb string, _ catalogtest.Moment) error {
				if verb == "Renew" {
					return ingest.ErrLeaseLost
				}
				return nil
			})
			in.Store = &storetest.Faulty{Store: h.memory, Hook: func(ctx context.Context, call storetest.Call) error {
				if call.Verb != "Put" {
					return nil
				}
				if waits == "a store that waits" {
					<-ctx.Done()
					return ctx.Err()
				}
				time.Sleep(10 * time.Millisecond)
				return nil
			}}
			claim := claim()
			claim.TTL = 30 * time.Millisecond
			folder := t.TempDir()
			sources := []ingest.Source{file(blob(t, filepath.Join(folder, "a"), 9*mib, 1)),
				file(blob(t, filepath.Join(folder, "b"), 9*mib, 2))}
			report, err := runAs(t, t.Context(), in, claim, sources...)
			if !errors.Is(err, ingest.ErrLeaseLost) || report.Interrupted || len(report.Refused) != 0 {
				t.Errorf("%+v, %v", report, err)
			}
			h.check(t)
			in = h.ingester(few)
			in.Catalog = &keeper{Catalog: h.catalog}
			report, err = runAs(t, t.Context(), in, claim, sources...)
			if renewals := in.Catalog.(*keeper).renewing.Load(); err != nil || len(report.Ingested) != 2 ||
				renewals != 0 {
				t.Errorf("%+v, %v; %d renewals after the end of the run", report, err, renewals)
			}
		})
	}
}

// TestLossCutsOffACall: the reason why a call was cut off is the lost lease, though the call itself says
// only that it was.
func TestLossCutsOffACall(t *testing.T) {
	h := storeHome(t)
	in := h.ingester(few)
	in.Catalog = &cutOff{h.catalog}
	claim := claim()
	claim.TTL = 30 * time.Millisecond
	report, err := runAs(t, t.Context(), in, claim, file(blob(t, filepath.Join(t.TempDir(), "blob"), 10, 1)))
	if !errors.Is(err, ingest.ErrLeaseLost) || report.Interrupted || len(report.Refused) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// cutOff is a catalogue that has given the job to another, and does not answer.
type cutOff struct{ ingest.Catalog }

func (c *cutOff) Renew(context.Context, ingest.Lease) error { return ingest.ErrLeaseLost }

func (c *cutOff) Unchanged(ctx context.Context, _ string, _, _ int64) (ingest.StoredFile, error) {
	<-ctx.Done()
	return ingest.StoredFile{}, ctx.Err()
}

// keeper is a catalogue whose renewals take long.
type keeper struct {
	ingest.Catalog
	renewing atomic.Int64
}

func (k *keeper) Renew(ctx context.Context, lease ingest.Lease) error {
	k.renewing.Add(1)
	defer k.renewing.Add(-1)
	time.Sleep(100 * time.Millisecond)
	return k.Catalog.Renew(ctx, lease)
}

// TestBusy: while a process works on a job, another one is told so; one that is known to be gone is not waited for.
func TestBusy(t *testing.T) {
	h := storeHome(t)
	source := file(blob(t, filepath.Join(t.TempDir(), "blob"), mib, 1))
	if _, err := h.catalog.Open(t.Context(), claim()); err != nil {
		t.Fatal(err)
	}
	report, err := runAs(t, t.Context(), h.ingester(few), someoneElse(), source)
	var busy *ingest.BusyError
	if report != nil || !errors.As(err, &busy) || !errors.Is(err, ingest.ErrBusy) ||
		busy.Holder != ingest.ThisProcess() || busy.Until <= 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	impatient := someoneElse()
	impatient.HolderDead = func(holder ingest.Holder) bool { return holder == ingest.ThisProcess() }
	if report, err = runAs(t, t.Context(), h.ingester(few), impatient, source); err != nil ||
		len(report.Ingested) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}
