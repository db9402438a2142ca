package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

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
		record := batch.record(f.model, f.entry.ID, at, state)
		record.InRows = f.Store == nil
		record.Unshared = record.InRows || f.Unshared
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
	if err := f.recordWithTimeout(ctx, record); err != nil {
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

func (f *fileIngest) recordWithTimeout(ctx context.Context, record *ingest.Batch) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), recordTimeout, errRecordTimeout)
	defer cancel()
	err := f.Catalog.Record(ctx, f.job, record)
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
	open, err := f.source.Stat()
	if err != nil {
		return &ingest.SourceError{Path: f.file.Path, Offset: -1, Err: err}
	}
	named, err := source.Stat(f.file.Path, f.file.Root)
	if err != nil {
		return &ingest.SourceError{Path: f.file.Path, Offset: -1, Err: fmt.Errorf("%w (%w)", ingest.ErrChanged, err)}
	}
	for _, info := range []fs.FileInfo{open, named} {
		if info.Size() != f.file.Bytes || !info.ModTime().Equal(f.file.Modified) || !os.SameFile(open, info) {
			return &ingest.SourceError{Path: f.file.Path, Offset: -1,
				Err: fmt.Errorf("it had %d bytes of %s, and now has %d of %s: %w", f.file.Bytes,
					f.file.Modified.Format("15:04:05.000"), info.Size(), info.ModTime().Format("15:04:05.000"),
					ingest.ErrChanged)}
		}
	}
	if n, _ := f.source.ReadAt(make([]byte, 1), f.file.Bytes); n > 0 { // as in files of /proc
		return &ingest.SourceError{Path: f.file.Path, Offset: f.file.Bytes,
			Err: errors.New("it has more bytes than its size says: copy it to a file first")}
	}
	return nil
}
