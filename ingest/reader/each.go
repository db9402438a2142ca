package reader

import (
	"context"
	"math"

	"github.com/hartonomous/ingest/ingest"
)

// Selection says what Each does with the segments of a file.
type Selection struct {
	// Want selects segments. It may change where one is read from: a payload that is in its row and in the store is
	// read from the row, or, with InRow set to false, from the store.
	Want func(s *ingest.StoredSegment) bool
	// Work is called with each payload that has its segment's SHA-256, from several goroutines at once. It may be nil.
	// It may change both.
	Work func(ctx context.Context, s *ingest.StoredSegment, payload []byte) error
	// Done is called in file order, from one goroutine, with the error of Work, or with what is wrong with the
	// payload. Its error ends Each. payload is gone once it returns.
	Done func(s ingest.StoredSegment, payload []byte, err error) error
}

// Each reads the selected segments of file, ahead and several at once.
func (r *Reader) Each(ctx context.Context, file ingest.StoredFile, do Selection) error {
	p, err := r.pass(file, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	p.want = do.Want
	p.fetch = func(ctx context.Context, s ingest.StoredSegment, into []byte) fetched {
		f := r.read(ctx, s, into)
		f.hash(nil)
		if f.err = f.damage(); f.err == nil && do.Work != nil {
			f.err = do.Work(ctx, &f.StoredSegment, f.payload)
		}
		return f
	}
	return p.each(ctx, func(f fetched) error {
		r.count(f.Bytes)
		return do.Done(f.StoredSegment, f.payload, f.err)
	})
}
