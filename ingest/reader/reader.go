// Package reader reads stored files. A Reader reads segments ahead in file order and checks the
// SHA-256 of each. Every command that reads payloads uses it.
//
//	r := &reader.Reader{Catalog: catalog, Store: store, Pool: buffer.New(64 << 20)}
//	f := r.Open(ctx, file)
//	_, err := f.WriteTo(w)         // the whole file; checks its SHA-256 at the end
//	_, err = f.ReadAt(p, offset)   // any bytes; checks the segments that contain them
//
// The pool bounds the memory. Sizes in the rows of a catalogue do not.
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
)

// Catalog is the part of ingest.Catalog that a Reader needs.
type Catalog interface {
	Segments
	TensorSegments(ctx context.Context, model ingest.ModelID) iter.Seq2[ingest.StoredSegment, error]
	ingest.RowPayloads
	Whole
}

// Store is the part of ingest.Store that a Reader needs.
type Store interface {
	Get(ctx context.Context, digest ingest.Digest, address ingest.Address, offset int64, into []byte) error
	Stat(ctx context.Context, digest ingest.Digest, address ingest.Address) (attested bool, err error)
	Replace(ctx context.Context, digest ingest.Digest, address ingest.Address, payload []byte) (ingest.Address, error)
}

// Reader reads payloads from the store or from rows.
type Reader struct {
	Catalog Catalog
	Store   Store // nil if only payloads in rows can be read
	Pool    *buffer.Pool
	// Workers is the number of segments read concurrently; by default four for each processor, at
	// most 16.
	Workers  int
	Progress *ingest.Progress // may be nil; BytesRecorded counts the bytes that were read or verified
}

// LocalWorkers returns the Workers for payloads on a disk of this machine: as many as keep the
// goroutine busy that computes the digest of the whole file. More take turns in the processor's cache:
// with two hardware threads, verifying 1 GiB took 1.4 s with 2 workers, 1.6 with 3 and 2.0 with 8, and
// with 2 half of the memory.
func LocalWorkers() int { return max(2, min(3, runtime.NumCPU())) }

// maxUnfiled is the maximum size of a segment that belongs to no file: that of a value in SQL Server.
const maxUnfiled = 1<<31 - 1

// fetched is the result of reading a segment.
type fetched struct {
	ingest.StoredSegment
	buffer  []byte // of the lease; nil if the segment was not read
	payload []byte
	sum     ingest.Digest // of payload
	err     error         // why there is no payload
	// released is set if the reservation for the driver's copies has ended.
	released bool
	// The following are set by Verify.
	verified  bool                   // the store or the server confirmed the digest; nothing was read
	rewritten *ingest.RewrittenError // the payload was overwritten since its row was recorded
}

// pass reads the segments of a file once.
type pass struct {
	*Reader
	file  ingest.StoredFile
	from  int64 // the first byte to read
	to    int64 // the byte after the last one
	lease *buffer.Lease
	// want selects segments; nil selects all.
	want func(s *ingest.StoredSegment) bool
	// fetch reads or checks a segment.
	fetch func(ctx context.Context, s ingest.StoredSegment, into []byte) fetched
	// reads reports whether fetch needs a buffer.
	reads func(s ingest.StoredSegment) bool
	// once: a payload that is not where its row said is not looked for again.
	once bool
	// writes reserves memory for the driver's copies until visit returns, which may write the
	// payload to a row.
	writes bool
}

// pass prepares to read the bytes [from, to) of file.
func (r *Reader) pass(file ingest.StoredFile, from, to int64) (*pass, error) {
	if file.ID != 0 && (file.SegmentBytes < 1 || file.SegmentBytes > ingest.MaxSegmentBytes) {
		return nil, fmt.Errorf("file %s: its row has segments of %d bytes: want 1 to %d", ingest.Printable(file.Name),
			file.SegmentBytes, ingest.MaxSegmentBytes)
	}
	p := &pass{Reader: r, file: file, from: from, to: to, lease: r.Pool.Lease()}
	p.fetch = p.read
	p.reads = func(ingest.StoredSegment) bool { return true }
	return p, nil
}

// Segments yields the segments of file that end after byte from, or all of tensors that belong to
// no file.
func (r *Reader) Segments(ctx context.Context, file ingest.StoredFile,
	from int64) iter.Seq2[ingest.StoredSegment, error] {
	if file.ID == 0 {
		return r.Catalog.TensorSegments(ctx, file.Model)
	}
	return r.Catalog.Segments(ctx, file.ID, from)
}

// each calls visit with the segments in file order, and reads ahead. visit must not keep the
// payload. A payload that cannot be read is visited with its error.
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
		for s, err := range p.Segments(ctx, p.file, p.from) {
			if err != nil {
				return err
			}
			if s.Offset >= p.to {
				return nil
			}
			if p.want != nil && !p.want(&s) {
				continue
			}
			// Buffers are taken in file order, so the segment that visit waits for always has one.
			into, err := p.buffer(ctx, s)
			if err != nil {
				return err
			}
			done := make(chan fetched, 1)
			group.Go(func() error {
				done <- p.fetchOne(ctx, s, into)
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
			if ctx.Err() != nil { // a cancelled read is not damage
				return context.Cause(ctx)
			}
			if err := visit(f); err != nil {
				return err
			}
			if f.buffer != nil {
				p.lease.Put(f.buffer)
				if p.writes {
					p.lease.Release(p.copies(f.StoredSegment))
				}
			}
		}
		return nil
	})
	return group.Wait()
}

// buffer waits for a buffer for the segment; nil if it will not be read.
func (p *pass) buffer(ctx context.Context, s ingest.StoredSegment) ([]byte, error) {
	if !p.reads(s) || p.checkSize(s) != nil {
		return nil, nil
	}
	return p.lease.GetBeside(ctx, p.size(s), p.copies(s))
}

// size is the size of the segment's buffer: the file's segment size, because a segment's row may
// claim any size. Tensors that belong to no file have no segment size.
func (p *pass) size(s ingest.StoredSegment) int64 {
	if p.file.ID == 0 {
		return s.Bytes
	}
	return p.file.SegmentBytes
}

// copies is the memory to reserve for the driver's copies.
func (p *pass) copies(s ingest.StoredSegment) int64 {
	if s.InStore() && !p.writes {
		return 0
	}
	return buffer.RowCopies * p.size(s)
}

// checkSize returns an error if the sizes in a row are impossible, or a *buffer.TooSmallError if the
// payload does not fit into the memory.
func (p *pass) checkSize(s ingest.StoredSegment) error {
	if p.file.ID == 0 {
		if s.Bytes < 1 || s.Bytes > maxUnfiled {
			return fmt.Errorf("its row has %d bytes", s.Bytes)
		}
		if err := p.Pool.Check(s.Bytes + p.copies(s)); err != nil && p.reads(s) {
			return err
		}
	} else if s.Bytes < 1 || s.Bytes > p.file.SegmentBytes {
		return fmt.Errorf("its row has %d bytes, but segments of its file have at most %d", s.Bytes,
			p.file.SegmentBytes)
	}
	if s.InStore() && s.Address.Bytes != s.Bytes {
		return fmt.Errorf("its row has %d bytes in the file, but %d in the store", s.Bytes, s.Address.Bytes)
	}
	return nil
}

// fetchOne fetches a segment and releases the memory for the driver's copies.
func (p *pass) fetchOne(ctx context.Context, s ingest.StoredSegment, into []byte) fetched {
	if err := p.checkSize(s); err != nil {
		return fetched{StoredSegment: s, err: err}
	}
	f := p.fetch(ctx, s, into)
	if into != nil && !p.writes && !f.released {
		p.lease.Release(p.copies(s))
	}
	if errors.Is(f.err, ingest.ErrNoPayload) && !p.once && into != nil {
		if now, moved := p.moved(ctx, s); moved {
			f = p.fetch(ctx, now, into)
		}
	}
	f.buffer = into
	return f
}

// moved returns the row of a segment as it is now, and whether a migration has moved its payload since
// it was read.
func (p *pass) moved(ctx context.Context, was ingest.StoredSegment) (now ingest.StoredSegment, moved bool) {
	if was.File == 0 || was.InStore() && p.Store == nil {
		return was, false
	}
	for s, err := range p.Catalog.Segments(ctx, was.File, was.Offset) {
		same := err == nil && s.RowID == was.RowID && s.Layer == was.Layer && s.Digest == was.Digest &&
			s.Bytes == was.Bytes && p.checkSize(s) == nil
		return s, same && (s.InRow != was.InRow || s.Address != was.Address)
	}
	return was, false
}

// releaseCopies ends the reservation for the driver's copies.
func (p *pass) releaseCopies(f *fetched) {
	if !f.released {
		p.lease.Release(p.copies(f.StoredSegment))
		f.released = true
	}
}

// read reads a payload and computes its digest. It is called by several goroutines at once: only the
// digest of the whole file has to be computed in its order.
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
		f.payload, f.sum = payload, ingest.Sum(payload)
	}
	return f
}

// damage returns what is wrong with a segment that was read; nil if it is intact.
func (f *fetched) damage() error {
	switch {
	case f.err != nil:
		return f.err
	case f.sum != f.Digest:
		return mismatch(f.sum, f.Digest)
	}
	return nil
}

// ErrDamaged: a payload does not have its SHA-256.
var ErrDamaged = errors.New("payload is damaged")

func mismatch(got, want ingest.Digest) error {
	return fmt.Errorf("%w: it has SHA-256 %s, want %s", ErrDamaged, got, want)
}

// gap returns the error for a row that starts at next instead of at.
func gap(at, next int64) error {
	if next < at {
		return fmt.Errorf("two rows for bytes %d to %d: %w", next, at, ingest.ErrIncomplete)
	}
	return fmt.Errorf("no row for bytes %d to %d: %w", at, next, ingest.ErrIncomplete)
}

func (r *Reader) count(bytes int64) {
	if r.Progress != nil {
		r.Progress.BytesRecorded.Add(bytes)
	}
}
