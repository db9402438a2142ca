package ingest

import (
	"context"
	"errors"
	"sync"
)

// Turns keep the batches of one file in its order while several are written at once, each in a transaction of its own.
// Their payloads, which take the time, go side by side. But a batch commits after those before it, because what is recorded
// of a file is always its beginning. And it locks rows after those before it, because it could lock one that they want too
// (an atom of the same content): they would wait for its lock, and it for their commit, and no server would see that
// circle, of which one side is here. The zero value is ready for a file's first batch.
type Turns struct {
	mu      sync.Mutex
	changed chan struct{} // closed at each change
	last    *Turn
}

// Turn is the place of one batch among those of its file. A nil Turn is that of a batch which is written alone.
type Turn struct {
	turns  *Turns
	before *Turn // nil for the first, and once that is recorded
	stage  stage
}

// stage is how far a batch got.
type stage int

const (
	waiting  stage = iota // it has no transaction, or one that does not have all its locks
	locked                // its transaction waits for no lock that a later batch could have
	recorded              // it has been committed
	failed                // it will not be
)

var (
	// ErrOutOfTurn says that a batch before this one is being written anew, and may want what this one has locked. This
	// one's transaction is to be rolled back, and begun again: Turn.Begin.
	ErrOutOfTurn = errors.New("a batch before this one is being written anew")

	errBefore = errors.New("a batch before this one could not be recorded")
)

// Next returns the turn of the batch that follows.
func (t *Turns) Next() *Turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = &Turn{turns: t, before: t.last}
	return t.last
}

// Begin waits until the batches before have their locks. It comes before each attempt at the transaction. An error says
// that ctx ended, or that this batch cannot be recorded any more because one before it was not.
func (t *Turn) Begin(ctx context.Context) error {
	if t == nil {
		return nil
	}
	t.reach(waiting)
	return t.wait(ctx, func(before stage) (bool, error) { return before >= locked, nil })
}

// Locked says that the transaction has every lock for which it might have to wait for a later batch.
func (t *Turn) Locked() {
	if t != nil {
		t.reach(locked)
	}
}

// End waits until the batches before are recorded. It comes before the transaction notes how far the file has got, and
// commits. Its errors are those of Begin, and ErrOutOfTurn.
func (t *Turn) End(ctx context.Context) error {
	if t == nil {
		return nil
	}
	err := t.wait(ctx, func(before stage) (bool, error) {
		if before == waiting {
			return false, ErrOutOfTurn
		}
		return before == recorded, nil
	})
	if err != nil {
		t.reach(waiting) // those after must not hold on to their locks either
	}
	return err
}

// Settle says that the batch is recorded, or, with an error, that it will not be. Whoever asked for the turn calls it once, at its end.
func (t *Turn) Settle(err error) {
	if err != nil {
		t.reach(failed)
	} else {
		t.reach(recorded)
	}
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

// wait asks ready about the batch before, until it says yes or there is an error.
func (t *Turn) wait(ctx context.Context, ready func(before stage) (bool, error)) error {
	for {
		done, changed, err := t.look(ready)
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (t *Turn) look(ready func(before stage) (bool, error)) (done bool, changed <-chan struct{}, err error) {
	t.turns.mu.Lock()
	defer t.turns.mu.Unlock()
	before := recorded
	if t.before != nil {
		before = t.before.stage
	}
	if before == failed {
		return false, nil, errBefore
	}
	if t.turns.changed == nil {
		t.turns.changed = make(chan struct{})
	}
	done, err = ready(before)
	return done, t.turns.changed, err
}
