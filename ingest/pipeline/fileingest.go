package pipeline

import (
	"bytes"
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

// recordTimeout bounds one transaction. It also applies during shutdown, so that stored segments
// still get their rows.
const recordTimeout = 2 * time.Minute

// fileIngest ingests one file:
//
//	read ──blocks──> hash ──segments──> storeSegments
//	  │              (the file and each segment, in order)
//	  └──batches──────────────────────> commit (rows, in file order)
//
// Buffers come from the pool. They go back when hash and storeSegments are done with them; payloads
// for rows, when the transaction is committed.
type fileIngest struct {
	*run
	file    *ingest.File
	plan    *ingest.Plan
	model   ingest.ModelID
	entry   ingest.FileEntry
	source  *os.File
	lease   *buffer.Lease
	hasher  *sha256x2.Hash
	stopped bool // the run was asked to stop before the file's end
	// recorded counts the bytes of the whole model that have rows.
	recorded *atomic.Int64

	blocks   chan *readBlock
	segments chan blockSegment
	batches  chan *pendingBatch
}

// ingest ingests the file from entry.Recorded to its end. It returns ErrInterrupted if the run was
// asked to stop; everything that was read then has rows.
func (f *fileIngest) ingest(work context.Context) (err error) {
	if f.source, err = source.Open(f.file.Path, f.file.Root); err != nil {
		return &ingest.SourceError{Path: f.file.Path, Offset: -1, Err: err}
	}
	defer f.source.Close()
	if err := f.resume(work); err != nil {
		return err
	}
	f.lease = f.Pool.Lease()
	defer f.lease.Close()
	f.blocks = make(chan *readBlock, f.Options.Workers)
	f.segments = make(chan blockSegment, f.Options.Workers)
	f.batches = make(chan *pendingBatch)
	group, ctx := errgroup.WithContext(work)
	group.Go(func() error { return f.read(ctx) })
	group.Go(func() error { return f.hash(ctx) })
	for range f.Options.Workers {
		group.Go(func() error { return f.storeSegments(ctx) })
	}
	group.Go(func() error { return f.commit(ctx) })
	if err := group.Wait(); err != nil {
		return err
	}
	if f.stopped {
		return ingest.ErrInterrupted
	}
	return nil
}

// resume checks that the file is the one that was parsed and recorded so far, and restores its
// hash.
func (f *fileIngest) resume(work context.Context) error {
	if err := f.checkUnchanged(); err != nil {
		return err
	}
	f.hasher = sha256x2.New()
	if f.entry.Recorded == 0 {
		return nil
	}
	if err := f.checkLastSegment(work); err != nil {
		return err
	}
	if err := f.hasher.UnmarshalBinary(f.entry.HashState); err != nil {
		return &ingest.SourceError{Path: f.file.Path, Offset: -1, Err: fmt.Errorf(
			"%w: cannot read the saved state of its hash (%w): the next run starts this file over",
			ingest.ErrIncomplete, err)}
	}
	return nil
}

// read is the only goroutine that reads the file.
func (f *fileIngest) read(ctx context.Context) error {
	defer close(f.blocks)
	defer close(f.batches)
	batch, block := newBatch(), &readBlock{from: f.entry.Recorded, to: f.entry.Recorded}
	for segment := range f.plan.From(f.entry.Recorded) {
		size := f.plan.SegmentBytes()
		if f.isSmall(segment.Bytes) {
			size = min(size, maxSmall)
		}
		if len(block.segments) > 0 && !block.fits(segment, size, f.Options.BatchRows-batch.rows) {
			var err error
			if batch, err = f.readBlock(ctx, batch, block); err != nil || f.stopped {
				return err
			}
			block = &readBlock{from: segment.Offset, to: segment.Offset}
		}
		block.add(segment, f)
	}
	var err error
	if len(block.segments) > 0 {
		if batch, err = f.readBlock(ctx, batch, block); err != nil || f.stopped {
			return err
		}
	}
	batch.final = true
	return f.submit(ctx, batch)
}

// readBlock reads the block's bytes, adds it to the batch and sends it to hash. It returns the
// batch that the next block belongs to. If the run is asked to stop, it submits the batch and sets
// f.stopped.
func (f *fileIngest) readBlock(ctx context.Context, batch *pendingBatch, block *readBlock) (*pendingBatch, error) {
	if f.stop.Err() != nil {
		f.stopped = true
		if len(batch.blocks) == 0 {
			return batch, nil
		}
		return batch, f.submit(ctx, batch)
	}
	var err error
	if batch, err = f.allocate(ctx, batch, block); err != nil {
		return batch, err
	}
	if err := f.readFull(block); err != nil {
		return batch, err
	}
	batch.add(block, f.Store == nil)
	select {
	case f.blocks <- block:
	case <-ctx.Done():
		return batch, context.Cause(ctx)
	}
	if block.to < f.file.Bytes && f.isFull(batch) { // the last batch waits for the file's digest
		return newBatch(), f.submit(ctx, batch)
	}
	return batch, nil
}

func (f *fileIngest) isFull(batch *pendingBatch) bool {
	return batch.rows >= f.Options.BatchRows || batch.bytes >= f.Options.BatchBytes || batch.small >= maxSmall ||
		time.Since(batch.begun) >= f.Options.BatchTime
}

// maxSmall is how many bytes of small payloads a batch collects, in memory that is not of the pool. A
// block has as many at most, so there are at most twice as many.
const maxSmall = 1 << 20

// isSmall reports whether the catalogue keeps a payload of this size although there is a store.
func (r *run) isSmall(bytes int64) bool {
	return r.Store != nil && !r.Unshared && bytes <= r.Catalog.SmallPayload()
}

// allocate gives the block a buffer. Payloads for rows keep their buffers until the batch is
// committed, so a batch also ends when the pool is empty or the batch has its share of the buffers.
func (f *fileIngest) allocate(ctx context.Context, batch *pendingBatch, block *readBlock) (*pendingBatch, error) {
	if f.Store == nil {
		if len(batch.blocks) < f.batchBuffers {
			if block.buffer = f.lease.Try(f.plan.SegmentBytes()); block.buffer != nil {
				return batch, nil
			}
		}
		if len(batch.blocks) > 0 {
			if err := f.submit(ctx, batch); err != nil {
				return batch, err
			}
			batch = newBatch()
		}
	}
	var err error
	block.buffer, err = f.lease.Get(ctx, f.plan.SegmentBytes())
	return batch, err
}

func (f *fileIngest) readFull(block *readBlock) error {
	want := block.to - block.from
	n, err := io.ReadFull(io.NewSectionReader(f.source, block.from, want), block.buffer[:want])
	f.Progress.BytesRead.Add(int64(n))
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the file ends here, and had %d bytes: %w", f.file.Bytes, ingest.ErrChanged)
	}
	if err != nil {
		return &ingest.SourceError{Path: f.file.Path, Offset: block.from + int64(n), Err: err}
	}
	return nil
}

// submit closes the batch and sends it to commit. The channel is unbuffered, so at most two batches
// of a file are in flight: one being read and one being written.
func (f *fileIngest) submit(ctx context.Context, batch *pendingBatch) error {
	batch.finish()
	select {
	case f.batches <- batch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// release returns the block's buffer to the pool when its last user is done.
func (f *fileIngest) release(block *readBlock) {
	if block.users.Add(-1) == 0 {
		f.lease.Put(block.buffer)
		block.buffer = nil
	}
}

// hash computes the digests of the file and of its segments, two at a time, and passes the segments
// on.
func (f *fileIngest) hash(ctx context.Context) error {
	defer close(f.segments)
	for block := range f.blocks {
		for i := range block.segments {
			segment := blockSegment{block, i}
			hasher := sha256x2.New()
			sha256x2.WriteBoth(f.hasher, hasher, segment.payload())
			block.segments[i].Digest = hasher.Sum()
			select {
			case f.segments <- segment:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		state, err := f.hasher.MarshalBinary()
		if err != nil {
			return fmt.Errorf("the state of SHA-256: %w", err)
		}
		block.state = state
		f.release(block)
		block.batch.finish()
	}
	return nil
}

// storeSegments puts segments into the store, or attaches their payloads to their rows: a copy of a
// small one, whose block need not be kept until the commit.
func (f *fileIngest) storeSegments(ctx context.Context) error {
	for s := range f.segments {
		payload := s.payload()
		r := &s.block.segments[s.index]
		if f.isSmall(r.Bytes) {
			payload = bytes.Clone(payload)
		}
		if err := f.storeSegment(ctx, r, payload); err != nil {
			return err
		}
		f.release(s.block)
		s.block.batch.finish()
	}
	return nil
}

// storeSegment puts a segment into the store, or attaches its payload to its row.
func (f *fileIngest) storeSegment(ctx context.Context, r *ingest.NewSegment, payload []byte) error {
	if f.Store == nil || f.isSmall(r.Bytes) {
		r.Payload = payload
		return nil
	}
	if err := f.put(ctx, r, payload); err != nil {
		return fmt.Errorf("%s: store bytes %d to %d: %w", ingest.Printable(f.file.Path), r.Offset, r.End(), err)
	}
	return nil
}
