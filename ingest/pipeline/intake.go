package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/sha256x2"
	"github.com/hartonomous/ingest/ingest/source"
)

// recordTimeout bounds one transaction. It also applies during shutdown, so that stored segments still get their rows.
const recordTimeout = 2 * time.Minute

// intake takes in one file:
//
//	read ──slabs──> hash ──pieces──> work (the store)
//	  │             (the file and each segment, in order)
//	  └──batches──────────────────────> commit (rows, in file order)
//
// Buffers come from the pool and go back when hash and work are done with
// them (to the rows: when the transaction is done).
type intake struct {
	*run
	file    *ingest.File
	plan    *ingest.Plan
	model   ingest.ModelID
	entry   ingest.FileEntry
	source  *os.File
	loan    *buffer.Lease
	hasher  *sha256x2.Hash
	stopped bool // the run was asked to stop before the file's end
	// recorded counts the bytes of the whole model that have rows.
	recorded *atomic.Int64

	slabs   chan *slab
	pieces  chan piece
	batches chan *batchInHand
}

// take reads the file from where its entry says to its end. It returns
// ErrInterrupted if the run was asked to stop, with all that was read recorded.
func (t *intake) take(work context.Context) error {
	if err := t.begin(work); err != nil {
		return err
	}
	defer t.source.Close()
	defer t.loan.Close()
	group, ctx := errgroup.WithContext(work)
	group.Go(func() error { return t.read(ctx) })
	group.Go(func() error { return t.hash(ctx) })
	for range t.Options.Workers {
		group.Go(func() error { return t.work(ctx) })
	}
	group.Go(func() error { return t.commit(ctx) })
	if err := group.Wait(); err != nil {
		return err
	}
	if t.stopped {
		return ingest.ErrInterrupted
	}
	return nil
}

func (t *intake) begin(work context.Context) error {
	var err error
	if t.source, err = source.Open(t.file.Path, t.file.Root); err != nil {
		return &ingest.SourceError{Path: t.file.Path, Offset: -1, Err: err}
	}
	if err := t.checkUnchanged(); err != nil {
		t.source.Close()
		return err
	}
	t.hasher = sha256x2.New()
	if t.entry.Recorded > 0 {
		if err := t.checkContinued(work); err != nil {
			t.source.Close()
			return err
		}
		if err := t.hasher.UnmarshalBinary(t.entry.HashState); err != nil {
			t.source.Close()
			return &ingest.SourceError{Path: t.file.Path, Offset: -1,
				Err: fmt.Errorf("%w: the saved state of its hash cannot be read (%w): it is begun anew by the next run",
					ingest.ErrIncomplete, err)}
		}
	}
	t.loan = t.Pool.Lease()
	t.slabs = make(chan *slab, t.Options.Workers)
	t.pieces = make(chan piece, t.Options.Workers)
	t.batches = make(chan *batchInHand)
	return nil
}

// read is the only goroutine that touches the file.
func (t *intake) read(ctx context.Context) error {
	defer close(t.slabs)
	defer close(t.batches)
	b, s := newBatch(), &slab{from: t.entry.Recorded, to: t.entry.Recorded}
	for segment := range t.plan.From(t.entry.Recorded) {
		if len(s.segments) > 0 && !s.takes(segment, t.plan.SegmentBytes(), t.Options.BatchRows-b.rows) {
			var err error
			if b, err = t.fill(ctx, b, s); err != nil || t.stopped {
				return err
			}
			s = &slab{from: segment.Offset, to: segment.Offset}
		}
		s.add(segment, t)
	}
	var err error
	if len(s.segments) > 0 {
		if b, err = t.fill(ctx, b, s); err != nil || t.stopped {
			return err
		}
	}
	b.final = true
	return t.hand(ctx, b)
}

func (s *slab) add(segment ingest.Segment, t *intake) {
	r := ingest.NewSegment{Segment: segment}
	if segment.Tensor != ingest.NoTensor {
		r.Layer = t.entry.Layers[segment.Tensor]
		r.Type = t.file.Tensors[segment.Tensor].Type
	}
	s.segments = append(s.segments, r)
	s.to = segment.End()
}

// fill reads the slab's bytes and hands them on, as a part of batch b. It returns
// the batch that the next slab belongs to. It sets t.stopped, with the batch
// handed over, where the run is to stop.
func (t *intake) fill(ctx context.Context, b *batchInHand, s *slab) (*batchInHand, error) {
	if t.stop.Err() != nil {
		t.stopped = true
		if len(b.slabs) == 0 {
			return b, nil
		}
		return b, t.hand(ctx, b)
	}
	var err error
	if b, err = t.lend(ctx, b, s); err != nil {
		return b, err
	}
	if err := t.readFull(s); err != nil {
		return b, err
	}
	b.add(s, t.Store == nil)
	select {
	case t.slabs <- s:
	case <-ctx.Done():
		return b, context.Cause(ctx)
	}
	if s.to < t.file.Bytes && t.isFull(b) { // the last batch carries the file's digest, which is not known yet
		return newBatch(), t.hand(ctx, b)
	}
	return b, nil
}

func (t *intake) isFull(b *batchInHand) bool {
	return b.rows >= t.Options.BatchRows || b.bytes >= t.Options.BatchBytes ||
		time.Since(b.begun) >= t.Options.BatchTime
}

// lend gives the slab its buffer. Where payloads stay in memory until their
// transaction, running out of buffers ends the batch: it is what gives them back. So does its share of them.
func (t *intake) lend(ctx context.Context, b *batchInHand, s *slab) (*batchInHand, error) {
	if t.Store == nil {
		if len(b.slabs) < t.batchBuffers {
			if s.buffer = t.loan.Try(t.plan.SegmentBytes()); s.buffer != nil {
				return b, nil
			}
		}
		if len(b.slabs) > 0 {
			if err := t.hand(ctx, b); err != nil {
				return b, err
			}
			b = newBatch()
		}
	}
	var err error
	s.buffer, err = t.loan.Get(ctx, t.plan.SegmentBytes())
	return b, err
}

func (t *intake) readFull(s *slab) error {
	want := s.to - s.from
	n, err := io.ReadFull(io.NewSectionReader(t.source, s.from, want), s.buffer[:want])
	t.Progress.BytesRead.Add(int64(n))
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return &ingest.SourceError{Path: t.file.Path, Offset: s.from + int64(n),
			Err: fmt.Errorf("the file ends here, and had %d bytes: %w", t.file.Bytes, ingest.ErrChanged)}
	}
	if err != nil {
		return &ingest.SourceError{Path: t.file.Path, Offset: s.from + int64(n), Err: err}
	}
	return nil
}

// hand closes the batch and gives it to commit. As the channel has no room, at
// most two batches of a file are in flight: one being read and one being written.
func (t *intake) hand(ctx context.Context, b *batchInHand) error {
	b.settle()
	select {
	case t.batches <- b:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// release gives the slab's buffer back when its last user is done.
func (t *intake) release(s *slab) {
	if s.users.Add(-1) == 0 {
		t.loan.Put(s.buffer)
		s.buffer = nil
	}
}

// hash computes the digests of the file and of its segments, two at a time, and passes the segments on.
func (t *intake) hash(ctx context.Context) error {
	defer close(t.pieces)
	for s := range t.slabs {
		for i := range s.segments {
			p := piece{s, i}
			segment := sha256x2.New()
			sha256x2.WriteBoth(t.hasher, segment, p.payload())
			s.segments[i].Digest = segment.Sum()
			select {
			case t.pieces <- p:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		state, err := t.hasher.MarshalBinary()
		if err != nil {
			return fmt.Errorf("the state of SHA-256: %w", err)
		}
		s.state = state
		t.release(s)
		s.batch.settle()
	}
	return nil
}

func (t *intake) work(ctx context.Context) error {
	for p := range t.pieces {
		r := &p.slab.segments[p.index]
		if t.Store == nil {
			r.Payload = p.payload()
		} else if err := t.put(ctx, r, p.payload()); err != nil {
			return fmt.Errorf("%s: store bytes %d to %d: %w", ingest.Printable(t.file.Path), r.Offset, r.End(), err)
		}
		t.release(p.slab)
		p.slab.batch.settle()
	}
	return nil
}

func (t *intake) put(ctx context.Context, r *ingest.NewSegment, payload []byte) error {
	leave, err := t.inFlight.enter(ctx, r.Digest)
	if err != nil {
		return err
	}
	defer leave()
	key := ingest.Key{Digest: r.Digest, Model: t.model, File: t.entry.ID, Layer: r.Layer, Ordinal: r.Ordinal,
		Type: r.Type}
	r.Address, err = t.Store.Put(ctx, key, payload)
	return err
}
