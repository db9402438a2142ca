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

// otherProcess is the request of another process for the same job.
func otherProcess() ingest.JobRequest {
	request := jobRequest()
	request.Holder.Process++
	request.HolderDead = nil
	return request
}

// TestTakeOver: a process that is paused until its lease has expired loses the job. The catalogue
// refuses its writes, its run ends with ErrLeaseLost, and the second run is complete.
func TestTakeOver(t *testing.T) {
	for _, moment := range []string{"before a payload", "before rows", "before completing"} {
		t.Run(moment, func(t *testing.T) {
			eachHome(t, func(t *testing.T, h *home) {
				if moment == "before a payload" && h.memory == nil {
					t.Skip("this home has no store, and so no Put")
				}
				takeOver(t, h, map[string]string{"before a payload": "Put", "before rows": "Record",
					"before completing": "Complete"}[moment])
			})
		})
	}
}

func takeOver(t *testing.T, h *home, at string) {
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
	request := jobRequest()
	request.TTL = 50 * time.Millisecond
	ended := make(chan error, 1)
	go func() {
		_, err := in.Run(t.Context(), request, ingest.Found{Sources: []ingest.Source{file(path)}})
		ended <- err
	}()
	<-paused
	second := reopen(t, h)
	other := otherProcess()
	var busy *ingest.BusyError
	for {
		report, err := runAs(t, t.Context(), second.ingester(small), other, file(path))
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
	checkState(t, h.state(t), want)
	h.checkExports(t)
}

// hooked returns an Ingester that calls hook before and after each call.
func hooked(h *home, hook func(verb string, after bool) error) *pipeline.Ingester {
	in := h.ingester(small)
	in.Catalog = catalogtest.Faulty(h.catalog, func(verb string, when catalogtest.Moment) error {
		return hook(verb, when == catalogtest.After)
	})
	if in.Store != nil {
		in.Store = &storetest.Faulty{Store: h.memory, Hook: func(_ context.Context, call storetest.Call) error {
			return hook(call.Verb, call.Done)
		}}
	}
	return in
}

// TestLeaseLost: a run that loses its lease ends with ErrLeaseLost even if none of its calls fails.
func TestLeaseLost(t *testing.T) {
	for _, waits := range []string{"a store that waits", "a store that goes on"} {
		t.Run(waits, func(t *testing.T) {
			h := storeHome(t)
			in := h.ingester(small)
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
			request := jobRequest()
			request.TTL = 30 * time.Millisecond
			folder := t.TempDir()
			sources := []ingest.Source{file(blob(t, filepath.Join(folder, "a"), 9*mib, 1)),
				file(blob(t, filepath.Join(folder, "b"), 9*mib, 2))}
			report, err := runAs(t, t.Context(), in, request, sources...)
			if !errors.Is(err, ingest.ErrLeaseLost) || report.Interrupted || len(report.Refused) != 0 {
				t.Errorf("%+v, %v", report, err)
			}
			h.check(t)
			in = h.ingester(small)
			in.Catalog = &slowRenewals{Catalog: h.catalog}
			report, err = runAs(t, t.Context(), in, request, sources...)
			if renewals := in.Catalog.(*slowRenewals).renewing.Load(); err != nil || len(report.Ingested) != 2 ||
				renewals != 0 {
				t.Errorf("%+v, %v; %d renewals after the end of the run", report, err, renewals)
			}
		})
	}
}

// TestLeaseLostDuringCall: if a call is cancelled because the lease is lost, the run's error is
// ErrLeaseLost, not context.Canceled.
func TestLeaseLostDuringCall(t *testing.T) {
	h := storeHome(t)
	in := h.ingester(small)
	in.Catalog = &hangingCatalog{h.catalog}
	request := jobRequest()
	request.TTL = 30 * time.Millisecond
	report, err := runAs(t, t.Context(), in, request, file(blob(t, filepath.Join(t.TempDir(), "blob"), 10, 1)))
	if !errors.Is(err, ingest.ErrLeaseLost) || report.Interrupted || len(report.Refused) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// hangingCatalog has lost the lease and does not answer.
type hangingCatalog struct{ ingest.Catalog }

func (c *hangingCatalog) Renew(context.Context, ingest.Lease) error { return ingest.ErrLeaseLost }

func (c *hangingCatalog) Unchanged(ctx context.Context, _ string, _, _ int64) (ingest.StoredFile, error) {
	<-ctx.Done()
	return ingest.StoredFile{}, ctx.Err()
}

// slowRenewals is a catalogue whose renewals take 100 ms.
type slowRenewals struct {
	ingest.Catalog
	renewing atomic.Int64
}

func (k *slowRenewals) Renew(ctx context.Context, lease ingest.Lease) error {
	k.renewing.Add(1)
	defer k.renewing.Add(-1)
	time.Sleep(100 * time.Millisecond)
	return k.Catalog.Renew(ctx, lease)
}

// TestBusy: a second process gets a *BusyError, unless the first is known to be dead.
func TestBusy(t *testing.T) {
	h := storeHome(t)
	source := file(blob(t, filepath.Join(t.TempDir(), "blob"), mib, 1))
	if _, err := h.catalog.Open(t.Context(), jobRequest()); err != nil {
		t.Fatal(err)
	}
	report, err := runAs(t, t.Context(), h.ingester(small), otherProcess(), source)
	var busy *ingest.BusyError
	if report != nil || !errors.As(err, &busy) || !errors.Is(err, ingest.ErrBusy) ||
		busy.Holder != ingest.ThisProcess() || busy.Until <= 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	impatient := otherProcess()
	impatient.HolderDead = func(holder ingest.Holder) bool { return holder == ingest.ThisProcess() }
	if report, err = runAs(t, t.Context(), h.ingester(small), impatient, source); err != nil ||
		len(report.Ingested) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}
