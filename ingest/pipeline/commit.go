package pipeline

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/source"
)

// commit writes the rows of the batches in file order, each once all of it is stored.
func (t *intake) commit(ctx context.Context) error {
	at, state := t.entry.Recorded, t.entry.HashState
	for b := range t.batches {
		select {
		case <-b.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		record := b.record(t.model, t.entry.ID, at, state)
		record.InRows = t.Store == nil
		record.Unshared = record.InRows || t.Unshared
		if b.final {
			record.Digest = t.hasher.Sum() // hash has seen the last slab: b is done
			if err := t.checkWhole(record.Digest); err != nil {
				return err
			}
		}
		if err := t.record(ctx, record, b); err != nil {
			return err
		}
		at, state = record.To, record.HashState
	}
	return nil
}

// record writes one batch.
func (t *intake) record(ctx context.Context, record *ingest.Batch, b *batchInHand) error {
	if err := t.write(ctx, record); err != nil {
		return fmt.Errorf("%s: record bytes %d to %d: %w", ingest.Printable(t.file.Path), record.From, record.To, err)
	}
	if record.InRows {
		for _, s := range b.slabs {
			t.release(s)
		}
	}
	t.Progress.BytesRecorded.Add(record.To - record.From)
	t.recorded.Add(record.To - record.From)
	t.Log.Debug("batch recorded", "path", t.file.Path, "from", record.From, "to", record.To, "segments",
		len(record.Segments), "final", b.final)
	return nil
}

func (t *intake) write(ctx context.Context, record *ingest.Batch) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), recordTimeout, errRecordTimeout)
	defer cancel()
	err := t.Catalog.Record(ctx, t.job, record)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}

var errRecordTimeout = fmt.Errorf("the catalogue did not take a batch within %s", recordTimeout)

// checkWhole is asked before the last rows of a file are written: is it the file
// that it claims to be, and the one that was there when we began?
func (t *intake) checkWhole(got ingest.Digest) error {
	if err := t.checkUnchanged(); err != nil {
		return err
	}
	if want := t.file.Expected; !want.IsZero() && want != got {
		return &ingest.SourceError{Path: t.file.Path, Offset: -1, Err: &ingest.MismatchError{Want: want, Got: got}}
	}
	return nil
}

func (t *intake) checkUnchanged() error {
	open, err := t.source.Stat()
	if err != nil {
		return &ingest.SourceError{Path: t.file.Path, Offset: -1, Err: err}
	}
	named, err := source.Stat(t.file.Path, t.file.Root)
	if err != nil {
		return &ingest.SourceError{Path: t.file.Path, Offset: -1, Err: fmt.Errorf("%w (%w)", ingest.ErrChanged, err)}
	}
	for _, info := range []fs.FileInfo{open, named} {
		if info.Size() != t.file.Bytes || !info.ModTime().Equal(t.file.Modified) || !os.SameFile(open, info) {
			return &ingest.SourceError{Path: t.file.Path, Offset: -1,
				Err: fmt.Errorf("%d bytes of %s have become %d of %s: %w",
					t.file.Bytes, t.file.Modified.Format("15:04:05.000"), info.Size(),
					info.ModTime().Format("15:04:05.000"), ingest.ErrChanged)}

		}
	}
	return nil
}
