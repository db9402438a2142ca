package reader

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/codec"
)

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
	// beside is the memory of the pool in bytes that the caller holds during the pass, or that is left
	// free.
	beside int64
	// once: a payload that is not where its row said is not looked for again.
	once bool
	// encoded is set from the first encoded payload on: then all buffers have room for the segment and
	// its payload, so that the pool can reuse them.
	encoded bool
	extra   sync.Mutex // see fetchMoved
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
	size, free := p.size(s), int64(0)
	if s.Address.Codec != "" && !p.encoded {
		p.encoded = true
		free = size // the memory of a segment: without this, verify took 99 MiB of 96
	}
	p.beside += free
	if p.encoded {
		size *= 2
	}
	if err := p.Pool.Check(p.beside + size + p.copies(s)); err != nil { // it would wait forever
		return nil, err
	}
	if err := p.lease.Reserve(ctx, free); err != nil {
		return nil, err
	}
	return p.lease.GetBeside(ctx, size, p.copies(s))
}

// size is the maximum size of the segment: the file's segment size, because a segment's row may
// claim any size. Tensors that belong to no file have no segment size.
func (p *pass) size(s ingest.StoredSegment) int64 {
	if p.file.ID == 0 {
		return s.Bytes
	}
	return p.file.SegmentBytes
}

// copies is the memory to reserve for the driver's copies, or for a decoder. checkSize has checked the
// size in the row.
func (p *pass) copies(s ingest.StoredSegment) int64 {
	switch {
	case s.Small:
		return buffer.RowCopies * s.Bytes
	case !s.InStore() || p.writes:
		return buffer.RowCopies * p.size(s)
	case s.Address.Codec != "":
		return codec.DecoderBytes
	}
	return 0
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
	switch a := s.Address; {
	case !s.InStore():
	case a.Codec == "" && a.Bytes != s.Bytes, a.Codec != "" && (a.Bytes < 1 || a.Bytes >= s.Bytes):
		return fmt.Errorf("its row has %d bytes in the file, but %d in the store", s.Bytes, a.Bytes)
	case a.Codec != "" && a.Codec != codec.Name:
		return fmt.Errorf("it is encoded with %s, which this version cannot decode: use a newer one",
			ingest.Printable(a.Codec))
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
			f = p.fetchMoved(ctx, now, into)
		}
	}
	f.buffer = into
	return f
}

// fetchMoved fetches a segment again. If its payload is encoded now, and into has no room for that, it
// uses memory of its own, for one segment at a time: to wait for the pool here could take forever.
func (p *pass) fetchMoved(ctx context.Context, s ingest.StoredSegment, into []byte) fetched {
	if s.Address.Codec == "" || int64(len(into)) >= s.Bytes+s.Address.Bytes {
		return p.fetch(ctx, s, into)
	}
	p.extra.Lock()
	defer p.extra.Unlock()
	f := p.fetch(ctx, s, make([]byte, s.Bytes+s.Address.Bytes))
	if f.payload != nil {
		f.payload = into[:copy(into, f.payload)]
	}
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
