package reader

import (
	"context"
	"math"

	"github.com/hartonomous/ingest/ingest"
)

// Selection says which segments Each reads, and what it does with them.
type Selection struct {
	// Want selects segments. It may set InRow to false, to read a payload from the store that is in
	// the row as well.
	Want func(s *ingest.StoredSegment) bool
	// Work is called with each intact payload, from several goroutines at once, and with those of
	// segments without a digest. It may change the segment and the payload. It may be nil.
	Work func(ctx context.Context, s *ingest.StoredSegment, payload []byte) error
	// Done is called in file order, from one goroutine, with the error of reading the payload or of
	// Work. Its error ends Each. payload is valid until Done returns.
	Done func(s ingest.StoredSegment, payload []byte, err error) error
}

// Each reads the selected segments of file, several in parallel. Segments of tensors that belong to
// no file can be large; Done may write them to rows.
func (r *Reader) Each(ctx context.Context, file ingest.StoredFile, do Selection) error {
	p, err := r.pass(file, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	p.want, p.writes, p.once = do.Want, file.ID == 0, true
	p.fetch = func(ctx context.Context, s ingest.StoredSegment, into []byte) fetched {
		f := r.read(ctx, s, into)
		if !p.writes { // Work may take long
			p.releaseCopies(&f)
		}
		if !s.Digest.IsZero() {
			f.err = f.damage()
		}
		if f.err == nil && do.Work != nil {
			f.err = do.Work(ctx, &f.StoredSegment, f.payload)
		}
		return f
	}
	return p.each(ctx, func(f fetched) error {
		r.count(f.Bytes)
		return do.Done(f.StoredSegment, f.payload, f.err)
	})
}
