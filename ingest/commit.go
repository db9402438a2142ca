package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// commit writes the rows of the batches, each once all of it is stored. As many goroutines do so as there may be transactions;
// the batches of the file are committed in its order all the same (Turn).
func (t *intake) commit(ctx context.Context) error {
	for {
		b, record, err := t.next(ctx)
		if err != nil || b == nil {
			return err
		}
		err = t.record(ctx, record, b)
		b.turn.Settle(err)
		if errors.Is(err, errBefore) { // what came before says why
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// next waits for the batch that follows, and until all of it is stored; nil at the end. One goroutine does so at a time,
// so that they have the batches in file order.
func (t *intake) next(ctx context.Context) (*batchInHand, *Batch, error) {
	t.following.Lock()
	defer t.following.Unlock()
	b, more := <-t.batches
	if !more {
		return nil, nil, nil
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	b.turn = t.line.Next()
	record := b.record(t.model, t.entry.ID, t.at, t.state)
	record.Unshared = t.rows != nil || t.Unshared
	if b.final {
		record.Digest = t.hasher.Sum() // hash has seen the last slab: b is done
	}
	t.at, t.state = record.To, record.HashState
	return b, record, nil
}

// record writes one batch.
func (t *intake) record(ctx context.Context, record *Batch, b *batchInHand) error {
	if b.final {
		if err := t.checkWhole(ctx, record.Digest); err != nil {
			if errors.Is(b.turn.follow(ctx), errBefore) {
				return errBefore
			}
			return err
		}
	}
	if err := t.write(ctx, record, b.turn); err != nil {
		return fmt.Errorf("%s: record bytes %d to %d: %w", Printable(t.file.Path), record.From, record.To, err)
	}
	if t.rows != nil {
		for _, s := range b.slabs {
			t.release(s)
		}
	}
	t.Progress.BytesRecorded.Add(record.To - record.From)
	t.recorded.Add(record.To - record.From)
	t.Log.Debug("batch recorded", "path", t.file.Path, "from", record.From, "to", record.To, "segments", len(record.Segments), "final", b.final)
	return nil
}

func (t *intake) write(ctx context.Context, record *Batch, turn *Turn) error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	go func() {
		if err := turn.follow(ctx); err != nil {
			cancel(err)
			return
		}
		select {
		case <-time.After(recordTimeout):
			cancel(errRecordTimeout)
		case <-ctx.Done():
		}
	}()
	err := t.send(ctx, record, turn)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}

var errRecordTimeout = fmt.Errorf("the catalogue did not take a batch within %s", recordTimeout)

func (t *intake) send(ctx context.Context, record *Batch, turn *Turn) error {
	switch {
	case t.rows == nil:
		return t.Catalog.Record(ctx, t.lease, record)
	case t.turns == nil:
		return t.rows.RecordPayloads(ctx, t.lease, record)
	default:
		return t.turns.RecordInTurn(ctx, t.lease, record, turn)
	}
}

// checkWhole is asked before the last rows of a file are written: is it the file
// that it claims to be, and the one that was there when we began?
func (t *intake) checkWhole(ctx context.Context, got Digest) error {
	if err := t.checkUnchanged(); err != nil {
		return err
	}
	if want := t.file.Expected; !want.IsZero() && want != got {
		return &SourceError{t.file.Path, -1, &MismatchError{Want: want, Got: got}}
	}
	return nil
}

func (t *intake) checkUnchanged() error {
	open, err := t.source.Stat()
	if err != nil {
		return &SourceError{t.file.Path, -1, err}
	}
	named, err := os.Stat(t.file.Path)
	if err != nil {
		return &SourceError{t.file.Path, -1, fmt.Errorf("%w (%w)", ErrChanged, err)}
	}
	for _, info := range []os.FileInfo{open, named} {
		if info.Size() != t.file.Bytes || !info.ModTime().Equal(t.file.Modified) || !os.SameFile(open, info) {
			return &SourceError{t.file.Path, -1, fmt.Errorf("%d bytes of %s have become %d of %s: %w",
				t.file.Bytes, t.file.Modified.Format("15:04:05.000"), info.Size(), info.ModTime().Format("15:04:05.000"), ErrChanged)}
		}
	}
	return nil
}
