package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Turns keep the batches of one file in its order while several are written at once, each in a transaction of its own.
// Their payloads, which take the time, go side by side. But a batch commits after those before it, because what is recorded
// of a file is always its beginning. And it locks rows after those before it, because it could lock one that they want too
// (an atom of the same content): they would wait for its lock, and it for their commit, and no server would see that
// circle, of which one side is here. The zero value is ready for a file's first batch.
//
// Should a batch come to wait for a later one's lock all the same, or should it have to be written anew, then the later ones
// make way (ErrOutOfTurn), and it goes alone: no circle is closed twice.
type Turns struct {
	mu      sync.Mutex
	changed chan struct{} // closed at each change
	last    *Turn
}

// Turn is the place of one batch among those of its file. A nil Turn is that of a batch which is written alone.
type Turn struct {
	turns    *Turns
	before   *Turn // nil for the first, and once that is recorded
	stage    stage
	attempts int
}

// stage is how far a batch got.
type stage int

const (
	waiting  stage = iota // it has no transaction, or one that does not have all its locks
	locked                // its transaction should have to wait for no lock that a later batch has
	recorded              // it has been committed
	failed                // it will not be
)

// turnPatience is how long a transaction stays open for those before it. Longer than they take, as a rule: all are
// begun within moments, and have as much to write.
const turnPatience = 20 * time.Second

// errBefore is the error of a batch that cannot be recorded because one before it was not.
var errBefore = errors.New("a batch before this one could not be recorded")

// Next returns the turn of the batch that follows.
func (t *Turns) Next() *Turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = &Turn{turns: t, before: t.last}
	return t.last
}

// Begin waits until the batches before have their locks, and for a second attempt until they are recorded. It comes before each
// attempt at the transaction. An error says that ctx ended, or that this batch cannot be recorded any more because one before it was not.
func (t *Turn) Begin(ctx context.Context) error {
	if t == nil {
		return nil
	}
	t.reach(waiting)
	t.attempts++
	return t.wait(ctx, func(before stage) bool { return before == recorded || before == locked && t.attempts == 1 })
}

// Locked says that the transaction has every lock for which it might have to wait for a later batch, which may begin then.
// In a second attempt it may not: the first one may have failed because of it.
func (t *Turn) Locked() {
	if t != nil && t.attempts == 1 {
		t.reach(locked)
	}
}

// End waits until the batches before are recorded. It comes before the transaction notes how far the file has got, and
// commits. Its errors are those of Begin, and ErrOutOfTurn.
func (t *Turn) End(ctx context.Context) error {
	if t == nil {
		return nil
	}
	inTime, cancel := context.WithTimeoutCause(ctx, turnPatience, ErrOutOfTurn)
	defer cancel()
	alone := false // the batch before is written anew
	err := t.wait(inTime, func(before stage) bool {
		alone = before == waiting
		return alone || before == recorded
	})
	if err == nil && alone {
		err = ErrOutOfTurn
	}
	if err != nil {
		t.RolledBack() // those after must not hold on to their locks either
	}
	return err
}

// RolledBack says that the transaction is no more, or will not be in a moment. Those after it make way.
func (t *Turn) RolledBack() {
	if t != nil {
		t.reach(waiting)
	}
}

// Settle says that the batch is recorded, or, with an error, that it will not be. Whoever asked for the turn calls it once, at its end.
func (t *Turn) Settle(err error) {
	if err != nil {
		t.reach(failed)
	} else {
		t.reach(recorded)
	}
}

// follow waits until the batch before is recorded, or will not be: errBefore.
func (t *Turn) follow(ctx context.Context) error {
	return t.wait(ctx, func(before stage) bool { return before == recorded })
}

func (t *Turn) reach(s stage) {
	t.turns.mu.Lock()
	defer t.turns.mu.Unlock()
	t.stage = s
	if s == recorded { // and so is what was before
		t.before = nil
	}
	if t.turns.changed != nil {
		close(t.turns.changed)
		t.turns.changed = nil
	}
}

// wait asks ready about the batch before, until it says yes.
func (t *Turn) wait(ctx context.Context, ready func(before stage) bool) error {
	for {
		before, changed := t.look()
		switch {
		case before == failed:
			return errBefore
		case ready(before):
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("while the batch before was written: %w", context.Cause(ctx))
		}
	}
}

// look returns how far the batch before has got, and what tells that something has changed.
func (t *Turn) look() (before stage, changed <-chan struct{}) {
	t.turns.mu.Lock()
	defer t.turns.mu.Unlock()
	if t.turns.changed == nil {
		t.turns.changed = make(chan struct{})
	}
	if t.before == nil {
		return recorded, t.turns.changed
	}
	return t.before.stage, t.turns.changed
}
