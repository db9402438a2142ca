package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Probe checks a file without reading its payloads, as far as the store can tell: that rows cover it, and that what
// lies at each address has the size, digest and checksum of what was put. Payloads in rows are
// read all the same. The store must be a Prober. Damage is found and repaired as by Verify.
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
	for piece, err := range v.Catalog.Pieces(ctx, file.ID) {
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
			found(Damage{File: file, Reason: fetched{Piece: piece}.damage(at)})
			mu.Unlock()
		}
		at = piece.Offset + piece.Bytes
		group.Go(func() error {
			reason := v.probe(probing, prober, piece, l.loan)
			v.count(piece)
			if reason == nil || probing.Err() != nil { // what was not probed because of the end is not damaged
				return probing.Err()
			}
			if errors.Is(reason, ErrUnreachable) {
				return fmt.Errorf("%s: %w", piece.Place(), reason)
			}
			mu.Lock()
			defer mu.Unlock()
			d := Damage{File: file, Piece: piece, Reason: reason}
			_, err := v.repair(probing, &d)
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

func (v *Verifier) probe(ctx context.Context, prober Prober, piece Piece, l *loan) error {
	if !piece.inRow() {
		return prober.Probe(ctx, piece.Digest, piece.Address)
	}
	buffer, err := l.get(ctx)
	if err != nil {
		return err
	}
	defer l.put(buffer)
	payload, err := v.Payloads.Read(ctx, piece, buffer)
	if err != nil {
		return err
	}
	return fetched{Piece: piece, payload: payload, sum: Sum(payload)}.damage(piece.Offset)
}

func (v *Verifier) count(piece Piece) {
	if v.Progress != nil {
		v.Progress.BytesRecorded.Add(piece.Bytes)
	}
}
