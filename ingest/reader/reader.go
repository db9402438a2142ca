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
	"sync"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/codec"
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

// Segments yields the segments of file that end after byte from, or all of tensors that belong to
// no file.
func (r *Reader) Segments(ctx context.Context, file ingest.StoredFile,
	from int64) iter.Seq2[ingest.StoredSegment, error] {
	if file.ID == 0 {
		return r.Catalog.TensorSegments(ctx, file.Model)
	}
	return r.Catalog.Segments(ctx, file.ID, from)
}

// read reads a payload, decodes it, and computes its digest. It is called by several goroutines at
// once: only the digest of the whole file has to be computed in its order. into has room for the
// segment and, behind it, for its encoded payload.
func (r *Reader) read(ctx context.Context, s ingest.StoredSegment, into []byte) fetched {
	f := fetched{StoredSegment: s}
	payload := into[:s.Bytes]
	switch {
	case s.InStore() && s.Address.Codec != "" && int64(len(into)) < s.Bytes+s.Address.Bytes:
		f.err = fmt.Errorf("no room for an encoded payload of %d bytes", s.Address.Bytes)
	case s.InStore() && s.Address.Codec != "" && r.Store != nil:
		f.err = r.decode(ctx, s, payload, into[int64(len(into))-s.Address.Bytes:])
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

// decode reads an encoded payload into encoded, and decodes it.
func (r *Reader) decode(ctx context.Context, s ingest.StoredSegment, into, encoded []byte) error {
	if err := r.Store.Get(ctx, s.Digest, s.Address, 0, encoded); err != nil {
		return err
	}
	decoder, _ := decoders.Get().(*codec.Decoder)
	if decoder == nil {
		decoder = codec.NewDecoder()
	}
	defer decoders.Put(decoder)
	if err := decoder.Decode(into, encoded); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

var decoders sync.Pool

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
