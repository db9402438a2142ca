package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/reader"
)

// checkLastSegment compares the last recorded segment with the file. A replaced file can have the
// same size and modification time; resuming would join the beginning of one to the rest of another.
func (f *fileIngest) checkLastSegment(ctx context.Context) error {
	last, err := f.Catalog.LastSegment(ctx, f.entry.ID)
	if err != nil && !errors.Is(err, ingest.ErrNotFound) {
		return err
	}
	if last.Offset+last.Bytes != f.entry.Recorded {
		return &ingest.SourceError{Path: f.file.Path, Offset: -1, Err: fmt.Errorf(
			"%w: rows before offset %d are missing; the next run starts this file over", ingest.ErrIncomplete,
			f.entry.Recorded)}
	}
	same, n, err := reader.Matches(ctx, last, f.source)
	f.Progress.BytesRead.Add(n)
	if err == nil && !same {
		n, err = 0, fmt.Errorf("size and modification time are those of the file that was recorded up to byte %d, but "+
			"the content is not: %w", f.entry.Recorded, ingest.ErrChanged)
	}
	if err != nil {
		return &ingest.SourceError{Path: f.file.Path, Offset: last.Offset + n, Err: err}
	}
	return nil
}
