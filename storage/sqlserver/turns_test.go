package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// threeBatches are theBatch cut in three. The second and the third have an atom in common.
func threeBatches() []*ingest.Batch {
	whole := theBatch(true)
	var all []*ingest.Batch
	for _, cut := range [][2]int{{0, 1}, {1, 3}, {3, 5}} {
		b := *whole
		b.Segments = whole.Segments[cut[0]:cut[1]]
		b.From, b.To, b.Digest = b.Segments[0].Offset, b.Segments[len(b.Segments)-1].End(), ingest.Digest{}
		all = append(all, &b)
	}
	all[2].Digest = whole.Digest
	return all
}

// recordAtOnce records the three batches at the same time, and returns the error of each.
func recordAtOnce(ctx context.Context, c *Catalog) (failed [3]error) {
	var turns ingest.Turns
	var group errgroup.Group
	for i, batch := range threeBatches() {
		turn := turns.Next()
		group.Go(func() error {
			failed[i] = c.RecordInTurn(ctx, theLease, batch, turn)
			turn.Settle(failed[i])
			return nil
		})
	}
	group.Wait()
	return failed
}

// eachWay runs test for payloads that are written as files, and for parameters.
func eachWay(t *testing.T, test func(t *testing.T, d *double, c *Catalog)) {
	t.Run("win32", func(t *testing.T) {
		t.Parallel()
		s, c := newStreamed(t)
		test(t, s.double, c)
	})
	t.Run("tsql", func(t *testing.T) {
		t.Parallel()
		d := newDouble(t)
		test(t, d, d.open(t))
	})
}

// The payload of the first batch is not written before that of the second one is, and yet it commits first.
func TestPayloadsGoSideBySide(t *testing.T) {
	var order []string
	var mu sync.Mutex
	second, once := make(chan struct{}), sync.Once{}
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	d := newDouble(t)
	c := d.open(t)
	d.Handle("/* ingest: add-file-payload */", func(req *tdstest.Request) (tdstest.Result, error) { // of the first batch
		if err := req.Wait(func() bool {
			select {
			case <-second:
				return true
			default:
				return false
			}
		}, 10*time.Second); err != nil {
			return tdstest.Result{}, err
		}
		note("payload 1")
		return d.addRows(req, false)
	})
	d.Handle("/* ingest: add-tensor-payload */", func(req *tdstest.Request) (tdstest.Result, error) {
		if string(tdstest.Get[[]byte](req, "p3")) == "bb" { // the second one's last
			note("payload 2")
			once.Do(func() { close(second) })
		}
		return d.addRows(req, true)
	})
	d.Handle("/* ingest: advance */", func(req *tdstest.Request) (tdstest.Result, error) {
		note(fmt.Sprint("advance to ", tdstest.Get[int64](req, "p6")))
		return d.advance(req)
	})
	if failed := recordAtOnce(t.Context(), c); errors.Join(failed[:]...) != nil {
		t.Fatal(failed)
	}
	d.check(t, true, true)
	if got := strings.Join(order, ", "); got != "payload 2, payload 1, advance to 2, advance to 6, advance to 10" {
		t.Error(got)
	}
}

// While files of one batch are open, those of another are as well.
func TestFilesGoSideBySide(t *testing.T) {
	s, c := newStreamed(t)
	var mu sync.Mutex
	writes, both := 0, make(chan struct{})
	s.step = func(step string) error {
		if step != "write" {
			return nil
		}
		mu.Lock()
		if writes++; writes == 2 {
			close(both)
		}
		mu.Unlock()
		select {
		case <-both:
			return nil
		case <-time.After(10 * time.Second):
			return errors.New("one file is open and no other")
		}
	}
	if failed := recordAtOnce(t.Context(), c); errors.Join(failed[:]...) != nil {
		t.Fatal(failed)
	}
	s.check(t, true, true)
}

func TestTurnsOutlastFaults(t *testing.T) {
	for name, fault := range passing {
		for skip := range 3 { // another batch of the three, as a rule
			t.Run(fmt.Sprint(name, " ", skip), func(t *testing.T) {
				eachWay(t, func(t *testing.T, d *double, c *Catalog) {
					fault := fault
					fault.Skip, fault.Rows = skip, min(fault.Rows, 1)
					injected := d.Inject(fault)
					revive(t, injected)
					for range 2 {
						if failed := recordAtOnce(t.Context(), c); errors.Join(failed[:]...) != nil {
							t.Fatal(failed)
						}
						d.check(t, true, true)
					}
				})
			})
		}
	}
}

// The second batch is written anew when the third one has got the lock on the atom that both want, and waits for it.
func TestTurnsMakeWayForOneThatIsTriedAgain(t *testing.T) {
	eachWay(t, func(t *testing.T, d *double, c *Catalog) {
		var refuse sync.Once
		locked := false // by the third one, in its first attempt
		d.Handle("/* ingest: advance */", func(req *tdstest.Request) (result tdstest.Result, err error) {
			if tdstest.Get[int64](req, "p6") == 6 {
				refuse.Do(func() { err = tdstest.Err(1205) })
			}
			if err != nil {
				return result, err
			}
			return d.advance(req)
		})
		visits := map[int64]int{} // to add-atoms, by where the batch begins
		d.Handle("/* ingest: add-atoms */", func(req *tdstest.Request) (tdstest.Result, error) {
			rows, err := d.batch(req, false)
			if err != nil {
				return tdstest.Result{}, err
			}
			from := rows[0].offset
			if visits[from]++; from == 2 && visits[from] == 2 {
				if err := req.Wait(func() bool { return locked }, 10*time.Second); err != nil {
					return tdstest.Result{}, err
				}
			}
			result, err := d.addAtoms(req)
			locked = locked || from == 6 && err == nil
			return result, err
		})
		if failed := recordAtOnce(t.Context(), c); errors.Join(failed[:]...) != nil {
			t.Fatal(failed)
		}
		d.check(t, true, true)
		d.Do(func() {
			if visits[2] != 2 || visits[6] != 2 {
				t.Errorf("attempts at batches by where they begin: %v", visits)
			}
		})
	})
}

// No batch waits for ever for a lock of a later one, although nothing that is read after the locks should want one.
func TestTurnsOutlastALockThatWasNotForeseen(t *testing.T) {
	eachWay(t, func(t *testing.T, d *double, c *Catalog) {
		wanted := "atom " + threeBatches()[1].Segments[1].Digest.String() // the second batch's
		d.Handle("/* ingest: reconcile */", func(req *tdstest.Request) (tdstest.Result, error) {
			rows, err := d.batch(req, false)
			if err == nil && rows[0].offset == 0 {
				_ = req.Wait(func() bool { return false }, 300*time.Millisecond) // its payloads took a while
				err = req.Lock(wanted, 5*time.Second)
			}
			if err != nil {
				return tdstest.Result{}, err
			}
			return d.reconcile(req)
		})
		if failed := recordAtOnce(t.Context(), c); errors.Join(failed[:]...) != nil {
			t.Fatal(failed)
		}
		d.check(t, true, true)
	})
}

// All connections are lost while two batches have files open, as when the process is killed.
func TestTurnsKilled(t *testing.T) {
	s, c := newStreamed(t)
	var mu sync.Mutex
	writes, both := 0, make(chan struct{})
	ctx, kill := context.WithCancel(t.Context())
	s.step = func(step string) error {
		if step != "write" {
			return nil
		}
		mu.Lock()
		if writes++; writes == 2 {
			close(both)
		}
		mu.Unlock()
		<-both
		kill()
		return ctx.Err()
	}
	go func() {
		<-both
		for _, session := range s.Sessions() {
			s.Kill(session.ID)
		}
	}()
	if failed := recordAtOnce(ctx, c); failed[0] == nil || failed[1] == nil || failed[2] == nil {
		t.Errorf("some were recorded: %v", failed)
	}
	s.check(t, true, false)
	s.step = nil
	if failed := recordAtOnce(t.Context(), c); errors.Join(failed[:]...) != nil {
		t.Fatal(failed)
	}
	s.check(t, true, true)
}

// What comes after a batch that cannot be recorded is not recorded either, and what comes before it is.
func TestTurnsAfterAFailure(t *testing.T) {
	for bad := range 3 {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			eachWay(t, func(t *testing.T, d *double, c *Catalog) {
				ends := []int64{2, 6, 10}
				d.Handle("/* ingest: advance */", func(req *tdstest.Request) (tdstest.Result, error) {
					if tdstest.Get[int64](req, "p6") == ends[bad] {
						return tdstest.Result{}, tdstest.Err(1105)
					}
					return d.advance(req)
				})
				failed := recordAtOnce(t.Context(), c)
				for i, err := range failed {
					if (err != nil) != (i >= bad) {
						t.Errorf("batch %d of which %d cannot be recorded: %v", i, bad, err)
					}
				}
				if !strings.Contains(fmt.Sprint(failed[bad]), "database is full") {
					t.Error(failed[bad])
				}
				if !d.WaitIdle(10 * time.Second) {
					t.Error("a transaction was left open")
				}
				d.Do(func() {
					recorded, segments := int64(0), []int{0, 1, 3}[bad]
					if bad > 0 {
						recorded = ends[bad-1]
					}
					if f, _ := d.files.Get(theFile); f.recorded != recorded || d.segments.Len() != segments {
						t.Errorf("%d bytes are recorded, and %d segments are there", f.recorded, d.segments.Len())
					}
				})
				d.Handle("/* ingest: advance */", d.advance)
				if failed := recordAtOnce(t.Context(), c); errors.Join(failed[:]...) != nil {
					t.Fatal(failed)
				}
				d.check(t, true, true)
			})
		})
	}
}
