package ingest_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/hartonomous/ingest/ingest"
)

// step calls one of a turn's methods in a goroutine, and returns what it returned, once it has.
func step(ctx context.Context, method func(context.Context) error) (result func() (err error, done bool)) {
	answer := make(chan error, 1)
	go func() { answer <- method(ctx) }()
	return func() (error, bool) {
		synctest.Wait()
		select {
		case err := <-answer:
			answer <- err
			return err, true
		default:
			return nil, false
		}
	}
}

// wantStep compares what a step has come to with what is wanted: "waits", nil for success, or an error.
func wantStep(t *testing.T, what string, result func() (error, bool), want any) {
	t.Helper()
	err, done := result()
	target, _ := want.(error)
	switch {
	case want == "waits" && done:
		t.Errorf("%s did not wait: %v", what, err)
	case want != "waits" && !done:
		t.Errorf("%s waits", what)
	case want != "waits" && !errors.Is(err, target):
		t.Errorf("%s returned %v, want %v", what, err, want)
	}
}

// threeLocked are three batches that have their locks.
func threeLocked(t *testing.T) (one, two, three *ingest.Turn) {
	t.Helper()
	turns := &ingest.Turns{}
	one, two, three = turns.Next(), turns.Next(), turns.Next()
	for _, turn := range []*ingest.Turn{one, two, three} {
		if err := turn.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		turn.Locked()
	}
	return one, two, three
}

func TestTurnsBeginAndEndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := &ingest.Turns{}
		one, two, three := turns.Next(), turns.Next(), turns.Next()
		begun3, begun2 := step(t.Context(), three.Begin), step(t.Context(), two.Begin)
		wantStep(t, "the second's Begin", begun2, "waits")
		wantStep(t, "the first's Begin", step(t.Context(), one.Begin), nil)
		wantStep(t, "the second's Begin, while the first one locks,", begun2, "waits")
		one.Locked()
		wantStep(t, "the second's Begin", begun2, nil)
		wantStep(t, "the third's Begin", begun3, "waits")
		two.Locked()
		wantStep(t, "the third's Begin", begun3, nil)
		three.Locked()

		ended3, ended2 := step(t.Context(), three.End), step(t.Context(), two.End)
		wantStep(t, "the first's End", step(t.Context(), one.End), nil)
		wantStep(t, "the second's End, before the first's commit,", ended2, "waits")
		one.Settle(nil)
		wantStep(t, "the second's End", ended2, nil)
		wantStep(t, "the third's End", ended3, "waits")
		two.Settle(nil)
		wantStep(t, "the third's End", ended3, nil)
		three.Settle(nil)
		four := turns.Next()
		wantStep(t, "a later one's Begin", step(t.Context(), four.Begin), nil)
		wantStep(t, "a later one's End", step(t.Context(), four.End), nil)
	})
}

// A batch that is written anew must not wait for the locks of those after it, which wait for it. It goes alone then, and so do they.
func TestTurnsMakeWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two, three := threeLocked(t)
		ended3, ended2 := step(t.Context(), three.End), step(t.Context(), two.End)
		wantStep(t, "the second's End", ended2, "waits")
		one.RolledBack()
		wantStep(t, "the second's End", ended2, ingest.ErrOutOfTurn)
		wantStep(t, "the third's End", ended3, ingest.ErrOutOfTurn) // it may have what the second wants, or the first
		wantStep(t, "the first's Begin", step(t.Context(), one.Begin), nil)
		begun3, begun2 := step(t.Context(), three.Begin), step(t.Context(), two.Begin)
		one.Locked()
		wantStep(t, "the second's Begin, while the first goes alone,", begun2, "waits")
		wantStep(t, "the first's End", step(t.Context(), one.End), nil)
		one.Settle(nil)
		wantStep(t, "the second's Begin", begun2, nil)
		two.Locked()
		wantStep(t, "the third's Begin, while the second goes alone,", begun3, "waits")
		wantStep(t, "the second's End", step(t.Context(), two.End), nil)
		two.Settle(nil)
		wantStep(t, "the third's Begin", begun3, nil)
	})
}

// Nobody begins beside a batch that is written anew.
func TestTurnsGoAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := &ingest.Turns{}
		one, two := turns.Next(), turns.Next()
		for range 2 {
			if err := one.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			one.RolledBack()
		}
		wantStep(t, "the first's Begin", step(t.Context(), one.Begin), nil)
		one.Locked()
		begun2 := step(t.Context(), two.Begin)
		wantStep(t, "the second's Begin, which is its first,", begun2, "waits")
		one.Settle(nil)
		wantStep(t, "the second's Begin", begun2, nil)
	})
}

// No transaction is open for long: should the one before wait for a lock of this one's, that would never end.
func TestTurnsArePatientForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two, three := threeLocked(t)
		ended3, ended2 := step(t.Context(), three.End), step(t.Context(), two.End)
		wantStep(t, "the second's End", ended2, "waits")
		time.Sleep(time.Minute)
		wantStep(t, "the second's End, after a minute,", ended2, ingest.ErrOutOfTurn)
		wantStep(t, "the third's End, after a minute,", ended3, ingest.ErrOutOfTurn)
		begun2 := step(t.Context(), two.Begin)
		wantStep(t, "the second's Begin, while the first is at work,", begun2, "waits")
		one.Settle(nil)
		wantStep(t, "the second's Begin", begun2, nil)
	})
}

// Turns keep none of those that were recorded.
func TestTurnsForget(t *testing.T) {
	turns := &ingest.Turns{}
	first := turns.Next()
	gone := weak.Make(first)
	first.Settle(nil)
	first = nil
	last := turns.Next()
	last.Settle(nil)
	runtime.GC()
	if gone.Value() != nil {
		t.Error("a turn that was settled is kept")
	}
	runtime.KeepAlive(turns)
}

func TestTurnsEndWithAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two, three := threeLocked(t)
		ended2 := step(t.Context(), two.End)
		one.Settle(errors.New("for good"))
		failure, done := ended2()
		if !done || failure == nil || errors.Is(failure, ingest.ErrOutOfTurn) {
			t.Errorf("the second's End after the first has failed: %v", failure)
		}
		two.Settle(failure)
		wantStep(t, "the third's End", step(t.Context(), three.End), failure)
		wantStep(t, "the third's Begin", step(t.Context(), three.Begin), failure)
	})
}

func TestTurnsAreCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		turns := &ingest.Turns{}
		turns.Next()
		begun := step(ctx, turns.Next().Begin)
		_, two, _ := threeLocked(t)
		ended := step(ctx, two.End)
		wantStep(t, "Begin", begun, "waits")
		wantStep(t, "End", ended, "waits")
		cancel(cause)
		wantStep(t, "Begin", begun, cause)
		wantStep(t, "End", ended, cause)
	})
}

// Nil is the turn of a batch that is written alone.
func TestNoTurn(t *testing.T) {
	var none *ingest.Turn
	none.Locked()
	none.RolledBack()
	if err := errors.Join(none.Begin(t.Context()), none.End(t.Context())); err != nil {
		t.Error(err)
	}
}
