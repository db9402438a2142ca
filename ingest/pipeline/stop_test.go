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

// manySources returns several sources; some share segments.
func manySources(t *testing.T) []ingest.Source {
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	return []ingest.Source{
		file(blob(t, in("a"), 5*mib+1, 1)),
		file(write(t, in("b"), append(noise(4*mib, 1), noise(2*mib, 2)...))),
		file(create(t, in("c"), mixed())),
		splits(t, folder),
		file(write(t, in("d"), make([]byte, 4*mib))),
	}
}

// checkInterrupted checks that an interrupted run leaves its job open and a row for each stored
// payload.
func checkInterrupted(t *testing.T, h *home, report *pipeline.Report, err error) {
	t.Helper()
	if err != nil || !report.Interrupted || len(report.Refused) != 0 {
		t.Fatalf("the interrupted run returned %+v, %v", report, err)
	}
	job, err := h.catalog.Job(t.Context(), report.Job)
	if err != nil || job.State != ingest.JobOpen || job.Live {
		t.Errorf("its job is %+v, %v", job, err)
	}
	h.check(t)
	if h.memory == nil {
		return
	}
	for object := range h.memory.List(t.Context()) {
		needed, err := h.catalog.Referenced(t.Context(), []ingest.Digest{object.Digest})
		if err != nil || len(needed[object.Digest]) == 0 {
			t.Errorf("%s is stored and not recorded (%v)", object.Name, err)
		}
	}
}

// TestStopAnywhere: runs that are stopped at random times record everything that they stored, and
// the final state is that of an uninterrupted run. No goroutine is left.
func TestStopAnywhere(t *testing.T) {
	sources := manySources(t)
	random := rand.New(rand.NewPCG(1, 2))
	rounds := 6
	if catalogtest.UnderRace || testing.Short() {
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
				checkInterrupted(t, h, report, err)
			}
			checkState(t, h.state(t), want)
			checkGoroutines(t, before)
		}
		t.Logf("stopped %d times", stops)
		if stops == 0 {
			t.Error("no run was stopped")
		}
	})
}

// slow adds a pause before and after each call of the store and the catalogue.
func slow(h *home, pause time.Duration) *pipeline.Ingester {
	in := h.ingester(small)
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

// checkGoroutines waits until at most before goroutines are left.
func checkGoroutines(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before the run:\n%s", runtime.NumGoroutine(), before,
				stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// TestStopAt stops runs during each kind of call.
func TestStopAt(t *testing.T) {
	for _, verb := range []string{"Unchanged", "Begin", "Put", "Record", "Complete", "CloseJob"} {
		t.Run(verb, func(t *testing.T) {
			eachHome(t, func(t *testing.T, h *home) {
				if verb == "Put" && h.memory == nil {
					t.Skip("this home has no store, and so no Put")
				}

				sources := manySources(t)
				ctx, cancel := context.WithCancel(t.Context())
				var once sync.Once
				stop := func(called string) {
					if called == verb {
						once.Do(func() {
							time.Sleep(20 * time.Millisecond) // until other goroutines wait for this call
							cancel()
						})
					}
				}
				in := h.ingester(small)
				in.Options.Jobs, in.Options.MemoryBytes = 4, 47*mib // two buffers and an encoder
				if in.Store == nil {
					in.Options.MemoryBytes = 45 * mib // two buffers and the copies of the database driver
				}
				in.Catalog = catalogtest.Faulty(h.catalog, func(called string, _ catalogtest.Moment) error {
					stop(called)
					return nil
				})
				if in.Store != nil {
					in.Store = &storetest.Faulty{Store: h.memory,
						Hook: func(_ context.Context, call storetest.Call) error { stop(call.Verb); return nil }}
				}
				report, err := run(t, ctx, in, sources...)
				if verb == "CloseJob" { // everything is ingested
					if err != nil || report.Interrupted {
						t.Errorf("%+v, %v", report, err)
					}
				} else {
					checkInterrupted(t, h, report, err)
				}
				h.ingest(t, sources...)
				h.checkExports(t)
			})
		})
	}
}

// TestStopEndsReading: a run that is asked to stop reads no further than the buffers in use.
func TestStopEndsReading(t *testing.T) {
	eachHome(t, func(t *testing.T, h *home) {
		ctx, cancel := context.WithCancel(t.Context())
		in := h.ingester(small) // six buffers of 1 MiB
		in.Catalog = catalogtest.Faulty(h.catalog, func(verb string, _ catalogtest.Moment) error {
			if verb == "Record" {
				cancel()
			}
			return nil
		})
		report, err := run(t, ctx, in, file(blob(t, filepath.Join(t.TempDir(), "blob"), 20*mib, 1)))
		checkInterrupted(t, h, report, err)
		if report.BytesRead > 10*mib {
			t.Errorf("%d MiB were read", report.BytesRead/mib)
		}
	})
}

// TestStoppedBeforeStart: the run does nothing.
func TestStoppedBeforeStart(t *testing.T) {
	h := storeHome(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	report, err := run(t, ctx, h.ingester(small), file(blob(t, filepath.Join(t.TempDir(), "blob"), mib, 1)))
	if report != nil || !errors.Is(err, context.Canceled) || len(h.models(t)) != 0 || h.memory.Payloads() != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestStopTimesOut: a store that does not answer delays the end of a run by at most a minute.
func TestStopTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := storeHome(t)
		ctx, cancel := context.WithCancel(t.Context())
		in := h.ingester(small)
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
		checkInterrupted(t, h, report, err)
	})
}
