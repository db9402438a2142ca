// Package reader gives stored files back. A Reader reads segments ahead in file order, checks each against its SHA-256
// and hands them on; export, verify, cat and every other command that reads payloads go through it.
//
//	r := &reader.Reader{Catalog: catalog, Store: store, Pool: buffer.New(64 << 20)}
//	f := r.Open(ctx, file)
//	_, err := f.WriteTo(w)         // the whole file, and its SHA-256 checked at the end
//	_, err = f.ReadAt(p, offset)   // any bytes of it, each segment that they touch checked
//
// Memory is bounded by the pool, whatever the rows of a catalogue say of sizes.
package reader

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/sha256x2"
)

// Catalog is what a Reader asks of a catalogue.
type Catalog interface {
	// Segments is that of ingest.Reader.
	Segments(ctx context.Context, file ingest.FileID, from int64) iter.Seq2[ingest.StoredSegment, error]
	ingest.RowPayloads
	Whole
}

// Reader reads payloads from where their rows say that they are.
type Reader struct {
	Catalog Catalog
	Store   Store // nil if only payloads in rows can be read
	Pool    *buffer.Pool
	// Workers is how many segments are read at once; four for each processor, at most 16, if zero or less.
	Workers  int
	Progress *ingest.Progress // may be nil; BytesRecorded counts bytes that were given back or checked
}

// rowCopies is how many more segments the driver of a database holds while it reads a payload from a row. Measured with
// the embedded catalogue, not derived.
const rowCopies = 3

// fetched is a stored segment with what was read for it.
type fetched struct {
	ingest.StoredSegment
	buffer  []byte // of the lease; nil if none was needed
	payload []byte
	sum     ingest.Digest // of payload, once it is hashed
	err     error         // why there is no payload
	// What Verify knows beside it.
	sound bool                   // it is right, by what the store or the server says, and was not read
	again *ingest.RewrittenError // it was written again since its row was
}

// pass is one way through the segments of a file.
type pass struct {
	*Reader
	file  ingest.StoredFile
	from  int64 // the first byte that is wanted
	to    int64 // the byte after the last one
	lease *buffer.Lease
	// want selects segments; nil selects all.
	want func(s *ingest.StoredSegment) bool
	// fetch reads a segment, or finds out about it otherwise.
	fetch func(ctx context.Context, s ingest.StoredSegment, into []byte) fetched
	// reads reports whether fetch wants a buffer.
	reads func(s ingest.StoredSegment) bool
}

// pass prepares to read bytes from to to of file.
func (r *Reader) pass(file ingest.StoredFile, from, to int64) (*pass, error) {
	if file.SegmentBytes < 1 || file.SegmentBytes > ingest.MaxSegmentBytes {
		return nil, fmt.Errorf("file %s: the catalogue gives it segments of %d bytes, and they have 1 to %d",
			ingest.Printable(file.Name), file.SegmentBytes, ingest.MaxSegmentBytes)
	}
	p := &pass{Reader: r, file: file, from: from, to: to, lease: r.Pool.Lease()}
	p.fetch = p.read
	p.reads = func(ingest.StoredSegment) bool { return true }
	return p, nil
}

// each calls visit with the segments in file order, while those that follow are read. What visit sees of a payload is
// gone once it returns. A payload that could not be read is visited too, with its error.
func (p *pass) each(ctx context.Context, visit func(fetched) error) error {
	defer p.lease.Close()
	workers := p.Workers
	if workers <= 0 {
		workers = min(16, 4*runtime.GOMAXPROCS(0))
	}
	group, ctx := errgroup.WithContext(ctx)
	inOrder := make(chan chan fetched, workers)
	group.Go(func() error {
		defer close(inOrder)
		for s, err := range p.Catalog.Segments(ctx, p.file.ID, p.from) {
			if err != nil {
				return err
			}
			if s.Offset >= p.to {
				return nil
			}
			if p.want != nil && !p.want(&s) {
				continue
			}
			// Buffers are taken in file order: the segment that visit waits for never waits for one itself.
			into, err := p.buffer(ctx, s)
			if err != nil {
				return err
			}
			done := make(chan fetched, 1)
			group.Go(func() error {
				done <- p.one(ctx, s, into)
				return nil
			})
			select {
			case inOrder <- done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	group.Go(func() error {
		for done := range inOrder {
			f := <-done
			if ctx.Err() != nil { // what was not read because of it is not damaged
				return context.Cause(ctx)
			}
			if err := visit(f); err != nil {
				return err
			}
			if f.buffer != nil {
				p.lease.Put(f.buffer)
			}
		}
		return nil
	})
	return group.Wait()
}

// buffer waits for a buffer for the segment; nil if it is not to be read. Its size is the file's and not
// the row's: a row
// may say anything.
func (p *pass) buffer(ctx context.Context, s ingest.StoredSegment) ([]byte, error) {
	switch {
	case !p.reads(s) || p.implausible(s) != nil:
		return nil, nil
	case s.InStore():
		return p.lease.Get(ctx, p.file.SegmentBytes)
	default:
		return p.lease.GetBeside(ctx, p.file.SegmentBytes, rowCopies*p.file.SegmentBytes)
	}
}

// implausible says what cannot be right with the sizes that a row gives.
func (p *pass) implausible(s ingest.StoredSegment) error {
	if s.Bytes < 1 || s.Bytes > p.file.SegmentBytes {
		return fmt.Errorf("the catalogue gives it %d bytes, and its file segments of at most %d", s.Bytes,
			p.file.SegmentBytes)
	}
	if s.InStore() && s.Address.Bytes != s.Bytes {
		return fmt.Errorf("the catalogue gives it %d bytes in the file and %d in the store", s.Bytes, s.Address.Bytes)
	}
	return nil
}

// one fetches a segment, and gives the room for the driver's copies back.
func (p *pass) one(ctx context.Context, s ingest.StoredSegment, into []byte) fetched {
	if err := p.implausible(s); err != nil {
		return fetched{StoredSegment: s, err: err}
	}
	f := p.fetch(ctx, s, into)
	f.buffer = into
	if into != nil && !s.InStore() {
		p.lease.Release(rowCopies * p.file.SegmentBytes)
	}
	return f
}

// read reads a payload.
func (r *Reader) read(ctx context.Context, s ingest.StoredSegment, into []byte) fetched {
	f := fetched{StoredSegment: s}
	payload := into[:s.Bytes]
	switch {
	case !s.InStore():
		f.err = r.Catalog.ReadPayload(ctx, s, payload)
	case r.Store == nil:
		f.err = fmt.Errorf("%w: it is in a store (%s): name it with --store", ingest.ErrNoPayload, s.Address.URI)
	default:
		f.err = r.Store.Get(ctx, s.Digest, s.Address, 0, payload)
	}
	if f.err == nil {
		f.payload = payload
	}
	return f
}

// hash computes the payload's digest, and adds the payload to whole, which may be nil.
func (f *fetched) hash(whole *sha256x2.Hash) {
	switch {
	case f.err != nil:
	case whole == nil:
		f.sum = ingest.Sum(f.payload)
	default:
		sum := sha256x2.New()
		sha256x2.WriteBoth(whole, sum, f.payload)
		f.sum = sum.Sum()
	}
}

// damage says what is wrong with a hashed segment; nil if nothing is.
func (f *fetched) damage() error {
	var size *ingest.SizeError
	switch {
	case errors.As(f.err, &size):
		return fmt.Errorf("payload is damaged: %w", f.err)
	case f.err != nil:
		return f.err
	case f.sum != f.Digest:
		return mismatch(f.sum, f.Digest)
	}
	return nil
}

func mismatch(got, want ingest.Digest) error {
	return fmt.Errorf("payload is damaged: it has SHA-256 %s, and should have %s", got, want)
}

// gap is the error for a row that begins at next where the one for byte at should come.
func gap(at, next int64) error {
	if next < at {
		return fmt.Errorf("two rows for bytes %d to %d: %w", next, at, ingest.ErrIncomplete)
	}
	return fmt.Errorf("no row for bytes %d to %d: %w", at, next, ingest.ErrIncomplete)
}

// count adds to the progress.
func (r *Reader) count(bytes int64) {
	if r.Progress != nil {
		r.Progress.BytesRecorded.Add(bytes)
	}
}
