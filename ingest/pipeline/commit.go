package pipeline

import (
	"context"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/source"
)

// commit writes the rows of the batches in file order, each when all of its segments are stored.
func (f *fileIngest) commit(ctx context.Context) error {
	at, state := f.entry.Recorded, f.entry.HashState
	for batch := range f.batches {
		select {
		case <-batch.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		record := f.recordOf(batch.blocks, at, state)
		if batch.final {
			record.Digest = f.hasher.Sum() // hash has seen the last block: b is done
			if err := f.checkComplete(record.Digest); err != nil {
				return err
			}
		}
		if err := f.record(ctx, record, batch); err != nil {
			return err
		}
		at, state = record.To, record.HashState
	}
	return nil
}

func (f *fileIngest) record(ctx context.Context, record *ingest.Batch, batch *pendingBatch) error {
	err := withRecordTimeout(ctx, func(ctx context.Context) error { return f.Catalog.Record(ctx, f.job, record) })
	if err != nil {
		return fmt.Errorf("%s: record bytes %d to %d: %w", ingest.Printable(f.file.Path), record.From, record.To, err)
	}
	if record.InRows {
		for _, block := range batch.blocks {
			f.release(block)
		}
	}
	f.Progress.BytesRecorded.Add(record.To - record.From)
	f.recorded.Add(record.To - record.From)
	f.Log.Debug("batch recorded", "path", f.file.Path, "from", record.From, "to", record.To, "segments",
		len(record.Segments), "final", batch.final)
	return nil
}

// withRecordTimeout runs a transaction, which the end of ctx does not interrupt.
func withRecordTimeout(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), recordTimeout, errRecordTimeout)
	defer cancel()
	err := do(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}

var errRecordTimeout = fmt.Errorf("the catalogue did not commit a batch within %s", recordTimeout)

// checkComplete runs before the last rows of a file are written. It checks that the file has not
// changed since it was parsed and has the expected digest.
func (f *fileIngest) checkComplete(got ingest.Digest) error {
	if err := f.checkUnchanged(); err != nil {
		return err
	}
	if want := f.file.Expected; !want.IsZero() && want != got {
		return &ingest.SourceError{Path: f.file.Path, Offset: -1, Err: &ingest.MismatchError{Want: want, Got: got}}
	}
	return nil
}

func (f *fileIngest) checkUnchanged() error {
	return source.CheckUnchanged(f.source, f.file.Path, f.file.Root, f.file.Bytes, f.file.Modified)
}
