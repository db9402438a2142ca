package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest/sha256x2"
)

// Payloads reads payloads back from wherever their rows say that they are.
type Payloads struct {
	Store Store    // nil if there is none
	Rows  RowStore // nil if the catalogue keeps no payloads
}

// Read returns the payload of piece, in buffer, which a payload of a store has to fit into. It does not check the digest.
func (p Payloads) Read(ctx context.Context, piece StoredSegment, buffer []byte) ([]byte, error) {
	switch {
	case piece.inRow() && p.Rows != nil:
		return p.Rows.ReadPayload(ctx, piece, buffer)
	case piece.inRow():
		return nil, fmt.Errorf("%w: it lies in a row, and this catalogue keeps no payloads in rows", ErrNoPayload)
	case p.Store == nil:
		return nil, fmt.Errorf("%w: it lies in a store (%s): name it with --store", ErrNoPayload, piece.Address.URI)
	default:
		if piece.Address.Bytes < 0 || piece.Address.Bytes > int64(len(buffer)) { // the address comes from a database
			return nil, fmt.Errorf("the catalogue gives it %d bytes in the store, and at most %d are expected", piece.Address.Bytes, len(buffer))
		}
		payload := buffer[:piece.Address.Bytes]
		if err := p.Store.Get(ctx, piece.Digest, piece.Address, 0, payload); err != nil {
			return nil, err
		}
		return payload, nil
	}
}

// copies is how many segments are held beside a run's own buffers.
func (p Payloads) copies() int64 {
	if p.Store == nil {
		return rowCopies
	}
	return 0
}

// inRow reports whether the payload lies in the row itself, or should: one without an
// address lies nowhere else.
func (p StoredSegment) inRow() bool { return p.InRow || p.Address.URI == "" }

// Place says where a piece lies, in words for a person.
func (p StoredSegment) Place() string {
	if p.Layer == 0 {
		return fmt.Sprintf("bytes %d to %d (outside of tensors)", p.Offset, p.Offset+p.Bytes)
	}
	return fmt.Sprintf("tensor %s segment %d (bytes %d to %d)", Printable(p.Tensor), p.Ordinal, p.Offset, p.Offset+p.Bytes)
}

// fetched is a piece with what was read for it.
type fetched struct {
	StoredSegment
	payload []byte
	sum     Digest // of the payload, once it was hashed
	err     error  // the payload could not be read
}

// lender lends the buffers of a reading command.
type lender struct {
	*loan
	payloads Payloads
	workers  int
	rows     chan struct{} // a place for each payload that may be read from a row at the same time: its driver holds it several times
}

// lender lends buffers for reading what was recorded in segments of this size, and lies where payloads says.
func (o Options) lender(segmentBytes int64, payloads Payloads) (lender, error) {
	o.SegmentBytes = segmentBytes
	o = o.WithDefaults()
	number, err := o.buffers(payloads.copies())
	if err != nil {
		return lender{}, err
	}
	places := max(1, number/(1+rowCopies)-1)
	if payloads.copies() > 0 { // one place is counted already; and one buffer fewer is for what a driver keeps besides
		number = max(minBuffers, number-(places-1)*rowCopies-1)
	}
	return lender{newPool(number, o.SegmentBytes).loan(), payloads, o.Workers, make(chan struct{}, places)}, nil
}

// read is Payloads.Read within what memory there is.
func (l lender) read(ctx context.Context, piece StoredSegment, buffer []byte) ([]byte, error) {
	if !piece.inRow() {
		return l.payloads.Read(ctx, piece, buffer)
	}
	select {
	case l.rows <- struct{}{}:
		defer func() { <-l.rows }()
		return l.payloads.Read(ctx, piece, buffer)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// eachPiece reads the payloads of pieces, a few more at once than l has workers and never more than it has buffers,
// and calls visit with them in the order of pieces. What visit sees of a payload
// is gone once it returns. A payload that cannot be read is visited too, with its error.
func eachPiece(ctx context.Context, pieces iter.Seq2[StoredSegment, error], l lender,
	read func(context.Context, StoredSegment, []byte) ([]byte, error), visit func(fetched) error) error {
	type promise struct {
		buffer []byte
		kept   chan fetched
	}
	defer l.close()
	group, ctx := errgroup.WithContext(ctx)
	inOrder := make(chan promise, l.workers)
	group.Go(func() error {
		defer close(inOrder)
		for piece, err := range pieces {
			if err != nil {
				return err
			}
			buffer, err := l.get(ctx)
			if err != nil {
				return err
			}
			p := promise{buffer, make(chan fetched, 1)}
			group.Go(func() error {
				p.kept <- fetchPiece(ctx, piece, p.buffer, read)
				return nil
			})
			select {
			case inOrder <- p:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	group.Go(func() error {
		for p := range inOrder {
			f := <-p.kept
			if ctx.Err() != nil { // what was not read because of it is not damaged
				return context.Cause(ctx)
			}
			if err := visit(f); err != nil {
				return err
			}
			l.put(p.buffer)
		}
		return nil
	})
	return group.Wait()
}

func fetchPiece(ctx context.Context, piece StoredSegment, buffer []byte, read func(context.Context, StoredSegment, []byte) ([]byte, error)) fetched {
	f := fetched{StoredSegment: piece}
	if !piece.inRow() && piece.Address.Bytes != piece.Bytes {
		f.err = fmt.Errorf("the catalogue gives it %d bytes in the file and %d in the store", piece.Bytes, piece.Address.Bytes)
		return f
	}
	if piece.Bytes > int64(len(buffer)) {
		f.err = fmt.Errorf("the catalogue gives it %d bytes, and its file segments of at most %d", piece.Bytes, len(buffer))
		return f
	}
	f.payload, f.err = read(ctx, piece, buffer)
	return f
}

// hash computes the payload's digest, and adds the payload to whole.
func (f *fetched) hash(whole *sha256x2.Hash) {
	if f.err == nil {
		sum := sha256x2.New()
		sha256x2.WriteBoth(whole, sum, f.payload)
		f.sum = sum.Sum()
	}
}

// atEnd takes the end of a file for a short payload, which its digest will tell.
func atEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
