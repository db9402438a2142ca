package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/reader"
)

// checkContinued compares the last segment that was recorded with the file: size and time can agree although
// a file was replaced, and then the rest of one would be joined to the beginning of another.
func (t *intake) checkContinued(ctx context.Context) error {
	last, err := t.Catalog.LastSegment(ctx, t.entry.ID)
	if err != nil && !errors.Is(err, ingest.ErrNotFound) {
		return err
	}
	if last.Offset+last.Bytes != t.entry.Recorded {
		return &ingest.SourceError{Path: t.file.Path, Offset: t.entry.Recorded,
			Err: fmt.Errorf("rows of what was recorded before this byte are gone: %w: the next run starts this file "+
				"over", ingest.ErrIncomplete)}
	}
	same, n, err := reader.Matches(ctx, last, t.source)
	t.Progress.BytesRead.Add(n)
	if err != nil {
		return &ingest.SourceError{Path: t.file.Path, Offset: last.Offset + n, Err: err}
	}
	if !same {
		return &ingest.SourceError{Path: t.file.Path, Offset: last.Offset,
			Err: fmt.Errorf("it is no longer the file of which %d bytes are recorded, although size and time agree: %w",
				t.entry.Recorded, ingest.ErrChanged)}
	}
	return nil
}
