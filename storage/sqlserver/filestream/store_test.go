package filestream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hartonomous/ingest/storage"
)

var errFault = errors.New("fault")

// big takes two writes.
var big = strings.Repeat("0123456789abcdef", 5<<20/16)

// works are the operations that are tested with each fault.
var works = map[string]func(context.Context, *world) error{
	"store": func(ctx context.Context, w *world) error { return Store(ctx, w, w, w, storage.Policy{}) },
	"load": func(ctx context.Context, w *world) error {
		for _, slot := range w.slots {
			w.content[slot.Path] = slot.Payload
		}
		return Load(ctx, w, w.Locate, make([]byte, len(w.slots[0].Payload)), w, storage.Policy{})
	},
}

// fullSteps are the steps when nothing fails.
var fullSteps = map[string]string{
	"store": "begin insert slots open write write flush close open write flush close update commit",
	"load":  "begin locate open read read read read close commit",
}

func TestSteps(t *testing.T) {
	for name, work := range works {
		w := newWorld(big, "x")
		if err := work(t.Context(), w); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Join(w.steps, " "); got != fullSteps[name] {
			t.Errorf("%s: steps are %s\nwant %s", name, got, fullSteps[name])
		}
		w.check(t)
		for _, slot := range w.slots {
			if string(w.content[slot.Path]) != string(slot.Payload) {
				t.Errorf("%s: %s holds %d bytes", name, slot.Path, len(w.content[slot.Path]))
			}
		}
	}
}

// everyStep runs test for each step of each operation.
func everyStep(t *testing.T, test func(t *testing.T, work func(context.Context, *world) error, at int, step string)) {
	for name, work := range works {
		for at, step := range strings.Fields(fullSteps[name]) {
			t.Run(fmt.Sprintf("%s/%d %s", name, at, step), func(t *testing.T) { test(t, work, at, step) })
		}
	}
}

// at makes a fault of one step.
func at(number int, fault func() error) func(string, int) error {
	return func(_ string, n int) error {
		if n == number {
			return fault()
		}
		return nil
	}
}

func fails() error { return errFault }

// Each step fails before or after its effect: nothing is committed, unless only the answer to
// COMMIT was lost, and only close and rollback follow.
func TestFaults(t *testing.T) {
	everyStep(t, func(t *testing.T, work func(context.Context, *world) error, number int, step string) {
		before, after := newWorld(big, "x"), newWorld(big, "x")
		before.fault, after.after = at(number, fails), at(number, fails)
		checkFault(t, before, work, number, false)
		checkFault(t, after, work, number, step == "commit")
	})
}

func checkFault(t *testing.T, w *world, work func(context.Context, *world) error, number int, committed bool) {
	t.Helper()
	if err := work(t.Context(), w); !errors.Is(err, errFault) {
		t.Errorf("%v, want the fault", err)
	}
	w.check(t)
	if w.committed != committed {
		t.Errorf("committed: %v", w.committed)
	}
	onlyAfter(t, w, number, "close", "rollback")
}

// onlyAfter checks which steps followed step number.
func onlyAfter(t *testing.T, w *world, number int, allowed ...string) {
	t.Helper()
	for _, step := range w.steps[number+1:] {
		if !slices.Contains(allowed, step) {
			t.Errorf("%s follows step %d of %v", step, number, w.steps)
		}
	}
	if last := w.steps[len(w.steps)-1]; last != "rollback" {
		t.Errorf("it ends with %s", last)
	}
}

// Each step panics.
func TestPanic(t *testing.T) {
	everyStep(t, func(t *testing.T, work func(context.Context, *world) error, number int, step string) {
		for _, late := range []bool{false, true} {
			w := newWorld(big, "x")
			if late {
				w.after = at(number, func() error { panic(errFault) })
			} else {
				w.fault = at(number, func() error { panic(errFault) })
			}
			func() {
				defer func() {
					if got := recover(); got != errFault {
						t.Errorf("the panic became %v", got)
					}
				}()
				t.Errorf("it returned %v", work(t.Context(), w))
			}()
			w.check(t)
			onlyAfter(t, w, number, "close", "rollback")
		}
	})
}

// The context ends within each step, which still succeeds: a COMMIT that was sent takes effect, and
// before that no further step begins.
func TestCancel(t *testing.T) {
	everyStep(t, func(t *testing.T, work func(context.Context, *world) error, number int, step string) {
		ctx, cancel := context.WithCancel(t.Context())
		w := newWorld(big, "x")
		w.after = at(number, func() error { cancel(); return nil })
		err := work(ctx, w)
		w.check(t)
		if step == "commit" {
			if err != nil || !w.committed {
				t.Errorf("%v, committed %v", err, w.committed)
			}
			return
		}
		if !errors.Is(err, context.Canceled) || w.committed {
			t.Errorf("%v, committed %v", err, w.committed)
		}
		onlyAfter(t, w, number, "flush", "close", "rollback")
	})
	for name, work := range works {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w := newWorld("x")
		if err := work(ctx, w); !errors.Is(err, context.Canceled) || len(w.steps) != 0 {
			t.Errorf("%s with a context that has ended: %v, steps %v", name, err, w.steps)
		}
	}
}

// A write has at least 2 MiB, unless it is the whole payload.
func TestWrites(t *testing.T) {
	for _, size := range []int{0, 1, piece, 2*piece - 1, 2 * piece, 3*piece + 1, 64 << 20} {
		w := newWorld(strings.Repeat("x", size))
		if err := works["store"](t.Context(), w); err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, n := range w.writes {
			sum += n
			if n < min(piece, size) || n >= 2*piece {
				t.Errorf("a write of %d bytes, of %d", n, size)
			}
		}
		if sum != size {
			t.Errorf("%d bytes were written of %d", sum, size)
		}
	}
}

// short writes less than it is asked to.
type short struct{ Handle }

func (short) Write(data []byte) (int, error) { return len(data) - 1, nil }

func TestShortWrite(t *testing.T) {
	if err := write(t.Context(), short{&worldFile{w: newWorld()}}, []byte("x")); err != io.ErrShortWrite {
		t.Error(err)
	}
}

func TestNULL(t *testing.T) {
	w := newWorld("x", "y")
	w.slots[1].Path = ""
	err := works["store"](t.Context(), w)
	if !errors.Is(err, ErrNoPath) || !strings.Contains(err.Error(), "payload 1: ") {
		t.Error(err)
	}
	w.check(t)
	w = newWorld("x")
	err = Load(t.Context(), w, func(context.Context) ([]byte, string, error) { return nil, "file0", nil }, nil, w,
		storage.Policy{})
	if !errors.Is(err, ErrNoToken) || slices.Contains(w.steps, "open") {
		t.Errorf("%v, steps %v", err, w.steps)
	}
	w.check(t)
}

func TestNoSlots(t *testing.T) {
	w := newWorld()
	if err := works["store"](t.Context(), w); err != nil || !w.committed {
		t.Errorf("an empty batch: %v", err)
	}
}

// Opening a file is retried, with growing pauses, until the policy ends.
func TestBusyOpen(t *testing.T) {
	policy := storage.Policy{Attempts: 4, First: time.Second, Longest: time.Hour}
	for _, test := range []struct {
		times, opens int
		code         uint32
		fails        bool
	}{
		{0, 1, sharingViolation, false},
		{3, 4, sharingViolation, false},
		{4, 4, sharingViolation, true},
		{1, 1, accessDenied, true},
		{1, 1, netNameDeleted, true}, // needs a new transaction
	} {
		synctest.Test(t, func(t *testing.T) {
			w, opens := newWorld("x"), []time.Time{}
			w.fault = func(step string, _ int) error {
				if step != "open" {
					return nil
				}
				if opens = append(opens, time.Now()); len(opens) > test.times {
					return nil
				}
				return &Error{"OpenSqlFilestream", "file0", test.code, errFault}
			}
			err := Store(t.Context(), w, w, w, policy)
			if (err != nil) != test.fails || len(opens) != test.opens {
				t.Errorf("%+v: %d opens, %v", test, len(opens), err)
			}
			w.check(t)
			for i := 2; i < len(opens); i++ {
				if opens[i].Sub(opens[i-1]) < opens[1].Sub(opens[0])/2 {
					t.Errorf("opens at %v", opens)
				}
			}
		})
	}
}

// The end of the context ends a pause.
func TestBusyCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		w := newWorld("x")
		w.fault = func(step string, _ int) error {
			if step == "open" {
				return &Error{"OpenSqlFilestream", "file0", sharingViolation, errFault}
			}
			return nil
		}
		err := Store(ctx, w, w, w, storage.Policy{First: time.Hour, Longest: time.Hour, Total: 9 * time.Hour})
		if !errors.Is(err, context.DeadlineExceeded) || w.committed {
			t.Error(err)
		}
		w.check(t)
	})
}

func TestLoadSizes(t *testing.T) {
	for size, right := range map[int]bool{0: false, 3: false, 4: true, 5: false} {
		w, buffer := newWorld("four"), make([]byte, size)
		w.content["file0"] = []byte("four")
		err := Load(t.Context(), w, w.Locate, buffer, w, storage.Policy{})
		if right && (err != nil || string(buffer) != "four") || !right && !errors.Is(err, ErrSize) {
			t.Errorf("buffer of %d: %q, %v", size, buffer, err)
		}
		w.check(t)
	}
}

// The policy limits the waits for all files of a transaction together.
func TestRemaining(t *testing.T) {
	policy := storage.Policy{Attempts: 5, Total: time.Minute}
	if p := (opener{policy: policy, begun: time.Now()}).remaining(); p.Attempts != 5 || p.Total <= 0 ||
		p.Total > time.Minute {
		t.Errorf("at first: %+v", p)
	}
	if p := (opener{policy: policy, begun: time.Now().Add(-time.Hour)}).remaining(); p.Attempts != 1 {
		t.Errorf("after an hour: %+v", p)
	}
	if p := (opener{policy: storage.Policy{Attempts: 5}}).remaining(); p.Attempts != 5 {
		t.Errorf("without a Total: %+v", p)
	}
}
