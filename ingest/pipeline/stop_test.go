package pipeline_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// manySources are several files for two jobs at once; some have segments in common.
func manySources(t *testing.T) []ingest.Source {
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	return []ingest.Source{
		file(blob(t, in("a"), 5*mib+1, 1)),
		file(write(t, in("b"), append(noise(4*mib, 1), noise(2*mib, 2)...))),
		file(create(t, in("c"), motley())),
		splits(t, folder),
		file(write(t, in("d"), make([]byte, 4*mib))),
	}
}

// wantInterrupted checks what a run leaves that was asked to stop: an open job, and a row for everything
// that was stored.
func wantInterrupted(t *testing.T, h *home, report *pipeline.Report, err error) {
	t.Helper()
	if err != nil || !report.Interrupted || len(report.Refused) != 0 {
		t.Fatalf("a run that was asked to stop ended with %+v, %v", report, err)
	}
	job, err := h.catalog.Job(t.Context(), report.Job)
	if err != nil || job.State != ingest.JobOpen || job.Live {
		t.Errorf("its job is %+v, %v", job, err)
	}
	h.check(t)
	if h.memory == nil {
		return
	}
	for stray := range h.memory.List(t.Context()) {
		needed, err := h.catalog.Referenced(t.Context(), []ingest.Digest{stray.Digest})
		if err != nil || len(needed[stray.Digest]) == 0 {
			t.Errorf("%s was stored and is not recorded (%v)", stray.Name, err)
		}
	}
}

// TestStopAnywhere: a run that is asked to stop at some moment keeps all that it stored, and the next ones end
// where a run that was let be ends. No goroutine is left behind.
func TestStopAnywhere(t *testing.T) {
	sources := manySources(t)
	random := rand.New(rand.NewPCG(1, 2))
	rounds := 6
	if underRace || testing.Short() {
		rounds = 1
	}
	eachHome(t, func(t *testing.T, h *home) {
		h.ingest(t, sources...)
		want := h.state(t)
		stops := 0
		for round := 0; round < rounds || stops == 0 && round < 30; round++ {
			h := h.another(t)
			before := runtime.NumGoroutine()
			for {
				ctx, cancel := context.WithCancel(t.Context())
				in := slow(h, time.Millisecond)
				timer := time.AfterFunc(time.Duration(random.IntN(int(150*time.Millisecond))), cancel)
				report, err := run(t, ctx, in, sources...)
				timer.Stop()
				cancel()
				if errors.Is(err, context.Canceled) && report == nil {
					continue // before the job was opened
				}
				if err == nil && !report.Interrupted {
					break
				}
				stops++
				wantInterrupted(t, h, report, err)
			}
			wantState(t, h.state(t), want)
			wantGoroutines(t, before)
		}
		t.Logf("stopped %d times", stops)
		if stops == 0 {
			t.Error("no run was stopped: the test tests nothing")
		}
	})
}

// slow makes each call of a store and a catalogue take a while.
func slow(h *home, pause time.Duration) *pipeline.Ingester {
	in := h.ingester(few)
	in.Catalog = catalogtest.Faulty(h.catalog, func(string, catalogtest.Moment) error {
		time.Sleep(pause)
		return nil
	})
	if in.Store != nil {
		in.Store = &storetest.Faulty{Store: h.memory, Hook: func(context.Context, storetest.Call) error {
			time.Sleep(pause)
			return nil
		}}
	}
	return in
}

// wantGoroutines waits until there are no more goroutines than there were.
func wantGoroutines(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before the run:\n%s", runtime.NumGoroutine(), before,
				stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// TestStopAt asks to stop at the moments at which somebody waits.
func TestStopAt(t *testing.T) {
	for _, verb := range []string{"Unchanged", "Begin", "Put", "Record", "Complete", "CloseJob"} {
		t.Run(verb, func(t *testing.T) {
			eachHome(t, func(t *testing.T, h *home) {
				if verb == "Put" && h.memory == nil {
					t.Skip("this home has no store, and so no Put")
				}
				verb := verb
				if verb == "Record" {
					verb = "Record"
				}
				sources := manySources(t)
				ctx, cancel := context.WithCancel(t.Context())
				var once sync.Once
				stop := func(called string) {
					if called == verb {
						once.Do(func() {
							time.Sleep(20 * time.Millisecond) // others come to wait for what this call holds
							cancel()
						})
					}
				}
				in := h.ingester(few)
				in.Options.Jobs, in.Options.MemoryBytes = 4, 42*mib // two buffers
				if in.Store == nil {
					in.Options.MemoryBytes = 45 * mib // and what a database's driver copies
				}
				in.Catalog = catalogtest.Faulty(h.catalog, func(called string,
					_ catalogtest.Moment) error {
					stop(called)
					return nil
				})
				if in.Store != nil {
					in.Store = &storetest.Faulty{Store: h.memory,
						Hook: func(_ context.Context, call storetest.Call) error { stop(call.Verb); return nil }}
				}
				report, err := run(t, ctx, in, sources...)
				if verb == "CloseJob" { // all was done
					if err != nil || report.Interrupted {
						t.Errorf("%+v, %v", report, err)
					}
				} else {
					wantInterrupted(t, h, report, err)
				}
				h.ingest(t, sources...)
				h.giveBack(t)
			})
		})
	}
}

// TestStoppedBeforeItBegins: nothing happens.
func TestStoppedBeforeItBegins(t *testing.T) {
	h := storeHome(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	report, err := run(t, ctx, h.ingester(few), file(blob(t, filepath.Join(t.TempDir(), "blob"), 10, 1)))
	if report != nil || !errors.Is(err, context.Canceled) || len(h.models(t)) != 0 || h.memory.Payloads() != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestStopDoesNotWaitForEver: a store that does not answer holds up the end of a run for a minute at most.
func TestStopDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := storeHome(t)
		ctx, cancel := context.WithCancel(t.Context())
		in := h.ingester(few)
		in.Store = &storetest.Faulty{Store: h.memory, Hook: func(ctx context.Context, call storetest.Call) error {
			if call.Verb != "Put" {
				return nil
			}
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}}
		begun := time.Now()
		report, err := run(t, ctx, in, file(blob(t, filepath.Join(t.TempDir(), "blob"), 9*mib, 1)))
		if took := time.Since(begun); took < 30*time.Second || took > 90*time.Second {
			t.Errorf("it took %s", took)
		}
		wantInterrupted(t, h, report, err)
	})
}
