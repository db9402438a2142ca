package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Probe checks a file without reading its payloads, as far as the store can tell: that rows cover it, and that what
// lies at each address has the size, digest, ETag and checksum of what was put. Payloads in rows are read all the same,
// and those that were written again, of which nothing else is known; if one is right, its rows are given the new ETag.
// The store must be a Prober. Damage is found and repaired as by Verify.
func (v *Verifier) Probe(ctx context.Context, file StoredFile, found func(Damage)) error {
	prober, ok := v.Payloads.Store.(Prober)
	if !ok {
		return errors.New("this store cannot tell without reading: verify with --read")
	}
	l, err := v.Options.lender(file.SegmentBytes, v.Payloads) // for payloads in rows
	if err != nil {
		return err
	}
	defer l.close()
	var mu sync.Mutex
	group, probing := errgroup.WithContext(ctx)
	group.SetLimit(l.workers)
	at := int64(0)
	for piece, err := range v.Catalog.Segments(ctx, file.ID, 0) {
		if err != nil || probing.Err() != nil {
			if failed := group.Wait(); err == nil {
				err = failed
			}
			if err == nil {
				err = context.Cause(probing)
			}
			return err
		}
		if piece.Offset != at {
			mu.Lock()
			found(Damage{File: file, Reason: fetched{StoredSegment: piece}.damage(at)})
			mu.Unlock()
		}
		at = piece.Offset + piece.Bytes
		group.Go(func() error {
			reason, err := v.probe(probing, prober, piece, l)
			v.count(piece)
			if probing.Err() != nil { // what was not probed because of the end is not damaged
				return probing.Err()
			}
			if reason == nil || err != nil {
				return err
			}
			if errors.Is(reason, ErrUnreachable) {
				return fmt.Errorf("%s: %w", piece.Place(), reason)
			}
			mu.Lock()
			defer mu.Unlock()
			d := Damage{File: file, Piece: piece, Reason: reason}
			_, err = v.repair(probing, &d)
			found(d)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if at != file.Bytes {
		found(Damage{File: file, Reason: fmt.Errorf("rows cover %d of its %d bytes: %w", at, file.Bytes, ErrIncomplete)})
	}
	return nil
}

// probe returns what is wrong with a piece, and an error if that could not be told.
func (v *Verifier) probe(ctx context.Context, prober Prober, piece StoredSegment, l lender) (reason, err error) {
	var again *RewrittenError
	if !piece.inRow() {
		if reason = prober.Probe(ctx, piece.Digest, piece.Address); !errors.As(reason, &again) {
			return reason, nil
		}
	}
	buffer, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	defer l.put(buffer)
	f := fetchPiece(ctx, piece, buffer, l.read)
	f.sum = Sum(f.payload)
	if reason = f.damage(piece.Offset); reason != nil || again == nil {
		return reason, nil
	}
	return nil, v.note(ctx, piece, again)
}

func (v *Verifier) count(piece StoredSegment) {
	if v.Progress != nil {
		v.Progress.BytesRecorded.Add(piece.Bytes)
	}
}
