package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// errKilled is returned by the steps of a killed process.
var errKilled = errors.New("killed")

// everyStep runs test repeatedly, killed at its first step, then at its second, until it runs to its
// end. It returns the number of steps.
func everyStep(t *testing.T, test func(t *testing.T, step func() error)) int {
	t.Helper()
	for at := 1; ; at++ {
		var mu sync.Mutex
		steps := 0
		t.Run(fmt.Sprintf("step %d", at), func(t *testing.T) {
			test(t, func() error {
				mu.Lock()
				defer mu.Unlock()
				if steps++; steps >= at {
					return errKilled
				}
				return nil
			})
		})
		if steps < at || t.Failed() {
			return at - 1
		}
	}
}

// ledger is a minimal catalogue: it has one job at a time, and only the job with the lease writes
// rows.
type ledger struct {
	mu   sync.Mutex
	job  int // the one with the lease
	rows map[ingest.Digest]ingest.Address
}

// begin opens a job and ends the lease of the job before.
func (l *ledger) begin() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.job++
	return l.job
}

// record writes a row if job still has the lease.
func (l *ledger) record(job int, digest ingest.Digest, address ingest.Address) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.job == job {
		l.rows = map[ingest.Digest]ingest.Address{digest: address}
	}
}

func (l *ledger) needs(digest ingest.Digest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.rows[digest]
	return ok
}

var errLost = errors.New("the lease was lost")

// confirm is the confirm function of gc.
func (l *ledger) confirm(job int, objects []ingest.Object) error {
	l.mu.Lock()
	held := l.job == job
	l.mu.Unlock()
	if !held {
		return errLost
	}
	for _, object := range objects {
		if l.needs(object.Digest) {
			return errors.New("a row needs it")
		}
	}
	return nil
}

// gc collects garbage as package gc does. step is called where it may be paused.
func (l *ledger) gc(ctx context.Context, s ingest.Store, step func() error) error {
	job := l.begin()
	var garbage, hidden []ingest.Object
	for object, err := range s.List(ctx) {
		switch {
		case err != nil:
			return err
		case !l.needs(object.Digest):
			garbage = append(garbage, object)
		case object.Hidden:
			hidden = append(hidden, object)
		}
	}
	if len(hidden) > 0 {
		needed := errors.New("rows need it")
		if _, err := s.Delete(ctx, hidden, func(context.Context) error { return needed }); !errors.Is(err, needed) {
			return err
		}
	}
	_, err := s.Delete(ctx, garbage, func(context.Context) error {
		if err := step(); err != nil {
			return err
		}
		if err := l.confirm(job, garbage); err != nil {
			return err
		}
		return step()
	})
	return err
}

// scene is a store with one payload that no row needs.
type scene struct {
	ledger
	stage
	payload []byte
	key     ingest.Key
	address ingest.Address
}

// stage is where a scene takes place: in a store, and with runs that put their payload, or that
// reuse the encoded one and put it only if it is not present.
type stage struct {
	open  Open
	reuse bool
}

// onEachStage runs test with runs that put, and with runs that reuse.
func onEachStage(t *testing.T, name string, place func(*testing.T) Open, test func(*testing.T, stage)) {
	t.Run(name, func(t *testing.T) { test(t, stage{open: place(t)}) })
	t.Run(name+", reuse", func(t *testing.T) {
		open := place(t)
		if isByPosition(t, open(t, nil)) {
			t.Skip("Reuse finds nothing by position")
		}
		test(t, stage{open: open, reuse: true})
	})
}

// newScene clears the store of an earlier scene.
func newScene(t *testing.T, where stage) *scene {
	t.Helper()
	s := &scene{stage: where, payload: payload(70_000, 40)}
	if s.key = keyOf(ingest.Sum(s.payload)); s.reuse {
		s.key = encodedAs(ingest.Sum([]byte("original")), "x", s.payload)
	}
	first := s.open(t, nil)
	if _, err := first.Owner(t.Context(), "catalogue"); err != nil {
		t.Fatal(err)
	}
	removeAll(t, first)
	s.address = putKey(t, first, s.key, s.payload)
	return s
}

// unpaused is a step that does nothing.
func unpaused() error { return nil }

// run is a complete run of another process: it puts or reuses the payload and records it. step is
// called between the steps of Put and Reuse.
func (s *scene) run(t *testing.T, step func() error) {
	job, store := s.begin(), s.open(t, step)
	_, _ = store.Owner(t.Context(), "") // stores by position need it before Put
	address, err := s.putOrReuse(t.Context(), store)
	if err == nil {
		s.record(job, s.key.Digest, address)
	} else if !errors.Is(err, errKilled) && !isTransient(err) {
		t.Errorf("another run: %v", err)
	}
}

func (s *scene) putOrReuse(ctx context.Context, store ingest.Store) (ingest.Address, error) {
	if s.reuse {
		if now, present, err := store.Reuse(ctx, s.key.Digest, s.address); present || err != nil {
			return now, err
		}
	}
	return store.Put(ctx, s.key, s.payload)
}

// collect is a complete gc of another process.
func (s *scene) collect(t *testing.T) {
	if err := s.gc(t.Context(), s.open(t, nil), unpaused); err != nil {
		t.Errorf("gc without interruptions: %v", err)
	}
}

// check fails if a row refers to a payload that is missing.
func (s *scene) check(t *testing.T) {
	t.Helper()
	if address, ok := s.rows[s.key.Digest]; ok {
		wantPayload(t, s.open(t, nil), s.key.Digest, address, s.payload)
	}
}

// pauses pauses a gc between every two of its steps while others run from beginning to end. No
// payload that they have recorded may be missing afterwards.
func pauses(t *testing.T, place func(*testing.T) Open) {
	for name, others := range map[string]func(*testing.T, *scene){
		"a run":        func(t *testing.T, s *scene) { s.run(t, nil) },
		"a gc":         func(t *testing.T, s *scene) { s.collect(t) },
		"a gc, a run":  func(t *testing.T, s *scene) { s.collect(t); s.run(t, nil) },
		"a run, a gc":  func(t *testing.T, s *scene) { s.run(t, nil); s.collect(t) },
		"a killed run": func(t *testing.T, s *scene) { s.run(t, killedAt(2)) },
		"runs and a gc": func(t *testing.T, s *scene) {
			s.run(t, killedAt(3))
			s.collect(t)
			s.run(t, nil)
			s.run(t, nil)
		},
	} {
		onEachStage(t, name, place, func(t *testing.T, where stage) {
			paused := 0
			for more := true; more; paused++ {
				s := newScene(t, where)
				more = s.pausedAt(t, paused, func() { others(t, s) })
				s.check(t)
				s.collect(t)
				s.check(t)
				if t.Failed() {
					t.Fatalf("gc was paused at step %d", paused)
				}
			}
			if paused < 5 {
				t.Errorf("gc took %d steps: it cannot be paused between them", paused)
			}
		})
	}
	if !testing.Short() {
		onEachStage(t, "a paused run", place, bothPaused)
	}
}

// killedAt returns a step that succeeds n times and then reports a kill.
func killedAt(n int) func() error {
	return func() error {
		if n--; n < 0 {
			return errKilled
		}
		return nil
	}
}

// pausedAt runs a gc that is paused after n steps while others run. It reports whether gc has that
// many steps.
func (s *scene) pausedAt(t *testing.T, n int, others func()) (paused bool) {
	var mu sync.Mutex // a store may call step from several goroutines
	step := func() error {
		mu.Lock()
		defer mu.Unlock()
		if n--; n == -1 {
			paused = true
			others()
		}
		return nil
	}
	err := s.gc(t.Context(), s.open(t, step), step)
	if !paused && err != nil {
		t.Errorf("gc without interruptions: %v", err)
	}
	return paused
}

// bothPaused pauses gc at one of its steps until a Put or Reuse of another run has reached one of
// its own steps, where it waits until gc has finished.
func bothPaused(t *testing.T, where stage) {
	for atGC, moreGC := 0, true; moreGC; atGC++ {
		for atPut, morePut := 0, true; morePut; atPut++ {
			s := newScene(t, where)
			collected, ended, waits := make(chan struct{}), make(chan struct{}), make(chan bool, 1)
			moreGC = s.pausedAt(t, atGC, func() {
				n := atPut
				step := func() error {
					if n--; n == -1 {
						waits <- true
						<-collected
					}
					return nil
				}
				go func() {
					defer close(ended)
					s.run(t, step)
					waits <- false
				}()
				morePut = <-waits
			})
			close(collected)
			if !moreGC {
				break
			}
			<-ended
			s.check(t)
			s.collect(t)
			s.check(t)
			if t.Failed() {
				t.Fatalf("gc was paused at step %d, and the run at step %d", atGC, atPut)
			}
		}
	}
}

// kills kills a gc between every two of its steps. The objects that it has hidden can still be read,
// and the next gc restores or deletes them.
func kills(t *testing.T, place func(*testing.T) Open) {
	for name, then := range map[string]func(*testing.T, *scene){
		"a gc": func(t *testing.T, s *scene) {
			s.collect(t)
			if left := objectsOf(t, s.open(t, nil)); len(left) != 0 {
				t.Errorf("the next gc left %+v", left)
			}
		},
		"a run, a gc": func(t *testing.T, s *scene) {
			s.run(t, nil)
			s.check(t)
			s.collect(t)
			s.inPlace(t)
		},
	} {
		onEachStage(t, name, place, func(t *testing.T, where stage) {
			steps := everyStep(t, func(t *testing.T, step func() error) {
				s := newScene(t, where)
				_ = s.gc(t.Context(), s.open(t, step), step)
				then(t, s)
			})
			if steps < 5 {
				t.Errorf("gc took %d steps: it cannot be killed between them", steps)
			}
		})
	}
	onEachStage(t, "a row", place, keptByARow)
}

// keptByARow records a row for a payload that a gc is about to delete, and kills the gc at each step.
func keptByARow(t *testing.T, where stage) {
	everyStep(t, func(t *testing.T, step func() error) {
		s := newScene(t, where)
		objects := objectsOf(t, s.open(t, nil))
		s.run(t, nil)
		_, _ = s.open(t, step).Delete(t.Context(), objects, func(context.Context) error {
			return errors.New("a row needs it")
		})
		s.check(t)
		s.collect(t)
		s.inPlace(t)
		s.check(t)
	})
}

// inPlace checks that the store holds only the payload, and that it is not hidden.
func (s *scene) inPlace(t *testing.T) {
	t.Helper()
	s.check(t)
	if all := objectsOf(t, s.open(t, nil)); len(all) != 1 || all[0].Digest != s.key.Digest || all[0].Hidden {
		t.Errorf("the store holds %+v", all)
	}
}
