package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// checkContinued compares the last segment that was recorded with the file: size and time can agree although
// a file was replaced, and then the rest of one would be joined to the beginning of another.
func (t *intake) checkContinued(ctx context.Context) error {
	last, err := t.Catalog.LastSegment(ctx, t.entry.ID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if last.Offset+last.Bytes != t.entry.Recorded {
		return &SourceError{t.file.Path, t.entry.Recorded, fmt.Errorf("rows of what was recorded before this byte are gone: %w: it is begun anew by the next run", ErrIncomplete)}
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.NewSectionReader(t.source, last.Offset, last.Bytes))
	t.Progress.BytesRead.Add(n)
	if err != nil {
		return &SourceError{t.file.Path, last.Offset + n, err}
	}
	if Digest(sum.Sum(nil)) != last.Digest {
		return &SourceError{t.file.Path, last.Offset, fmt.Errorf("it is no longer the file of which %d bytes are recorded, although size and time agree: %w", t.entry.Recorded, ErrChanged)}
	}
	return nil
}
