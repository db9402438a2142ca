package migrate

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/reader"
)

// fileRun is the migration of one file.
type fileRun struct {
	*run
	file  ingest.StoredFile
	job   ingest.Lease
	types map[ingest.LayerID]string

	batch []ingest.Move
	bytes int64 // of the payloads of batch
}

// copy copies payloads to the target.
func (w *fileRun) copy(ctx context.Context) error {
	if w.left == 0 {
		return nil
	}
	do := reader.Selection{Want: w.toCopy, Work: w.put}
	verb, limit := w.Catalog.AddAddresses, w.maxBytes
	if w.ToRows {
		do.Work, verb, limit = nil, w.Catalog.AddPayloads, min(limit, keptBytes)
	}
	flush := w.flush(ctx, verb, &w.report.Copied)
	do.Done = func(s ingest.StoredSegment, payload []byte, err error) error {
		m := ingest.Move{Segment: s, Address: s.Address}
		if w.ToRows && err == nil {
			m.Payload = payload
			if s.Bytes <= keptBytes {
				m.Payload = bytes.Clone(payload)
			}
		}
		if err := w.add(m, limit, err, flush); err != nil {
			return err
		}
		if err == nil {
			w.left--
		}
		if w.left == 0 {
			return errLimit
		}
		return nil
	}
	return w.each(ctx, do, flush)
}

// errLimit ends a file after the last payload that may be copied.
var errLimit = errors.New("limit")

// clear reads the copies of payloads that are in both places, and clears the source of intact
// copies.
func (w *fileRun) clear(ctx context.Context) error {
	verb, want := w.Catalog.ClearAddresses, w.inBoth
	if !w.ToRows {
		verb, want = w.Catalog.ClearPayloads, func(s *ingest.StoredSegment) bool {
			both := w.inBoth(s)
			s.InRow = s.InRow && !both // read it from the store
			return both
		}
	}
	flush := w.flush(ctx, verb, &w.report.Cleared)
	return w.each(ctx, reader.Selection{Want: want, Done: func(s ingest.StoredSegment, _ []byte, err error) error {
		m := ingest.Move{Segment: s}
		if problem, wrong := w.notHeld(ctx, w.file.Model, &s); wrong != nil || problem != nil {
			err = cmp.Or(wrong, problem)
		}
		if isDamage(err) {
			err = w.withdraw(ctx, m, err)
		}
		return w.add(m, w.maxBytes, err, flush)
	}}, flush)
}

// isDamage reports whether an error means that a copy is damaged or missing, not that it cannot be
// read now.
func isDamage(err error) bool {
	var size *ingest.SizeError
	return errors.As(err, &size) || errors.Is(err, ingest.ErrNoPayload) || errors.Is(err, reader.ErrDamaged)
}

// withdraw removes the address of a damaged copy, so that the next run copies the payload again. It
// changes nothing if the row does not have the payload either. It returns an error in every case.
func (w *fileRun) withdraw(ctx context.Context, m ingest.Move, wrong error) error {
	if w.ToRows {
		return fmt.Errorf("the copy in the row is damaged or missing; the source was not cleared: %w", wrong)
	}
	moved, err := w.Catalog.ClearAddresses(ctx, w.job, []ingest.Move{m})
	switch {
	case err != nil:
		return fmt.Errorf("%w; cannot remove its address: %w", wrong, err)
	case !moved[0]:
		return fmt.Errorf("neither the row nor the store has an intact payload: %w", wrong)
	}
	return fmt.Errorf("the copy is damaged or missing; its address was removed, and the next run copies it again: %w",
		wrong)
}

func (w *fileRun) each(ctx context.Context, do reader.Selection, flush func() error) error {
	if err := w.reader.Each(ctx, w.file, do); err != nil && !errors.Is(err, errLimit) {
		return err
	}
	return flush()
}

// add adds a move to the batch, and flushes a full batch. It reports a row with an error instead;
// an error of the store ends the migration.
func (w *fileRun) add(m ingest.Move, limit int64, err error, flush func() error) error {
	var store *storeError
	if errors.As(err, &store) || errors.Is(err, ingest.ErrUnreachable) {
		return fmt.Errorf("%s: %w", m.Segment.Place(), err)
	}
	if err != nil {
		w.failed(w.file, m.Segment, err)
		return nil
	}
	w.batch = append(w.batch, m)
	w.bytes += m.Segment.Bytes
	if len(w.batch) < w.maxRows && w.bytes < limit {
		return nil
	}
	return flush()
}

// flush returns a function that changes the rows of the batch with verb, in one transaction.
func (w *fileRun) flush(ctx context.Context,
	verb func(context.Context, ingest.Lease, []ingest.Move) ([]bool, error), count *Count) func() error {
	return func() error {
		if len(w.batch) == 0 {
			return nil
		}
		moved, err := verb(ctx, w.job, w.batch)
		if err != nil {
			return err
		}
		for i, m := range w.batch {
			if moved[i] {
				count.add(m.Segment.Bytes)
			} else {
				w.failed(w.file, m.Segment, errRowChanged)
			}
		}
		clear(w.batch)
		w.batch, w.bytes = w.batch[:0], 0
		return nil
	}
}

var errRowChanged = errors.New("another program changed the row, or its payload is damaged; the row was not changed " +
	"(`ingest verify` tells which)")

// storeError is an error of the target store, which ends a migration.
type storeError struct{ error }

func (e *storeError) Unwrap() error { return e.error }

// put copies a payload to the store, checks the copy, and sets the segment's address, and its digest
// if it has none.
func (w *fileRun) put(ctx context.Context, s *ingest.StoredSegment, payload []byte) error {
	row := *s
	if s.Digest.IsZero() {
		s.Digest = ingest.Sum(payload)
	}
	key := ingest.Key{Digest: s.Digest, Model: w.file.Model, File: s.File, Layer: s.Layer, Ordinal: s.Ordinal,
		Type: w.types[s.Layer]}
	address, err := w.Store.Put(ctx, key, payload)
	if err != nil {
		return &storeError{err}
	}
	at := ingest.Printable(address.URI)
	err = w.readBack(ctx, s.Digest, address, payload)
	if err != nil && !errors.Is(err, ingest.ErrUnreachable) { // Put kept an object that is damaged
		if err := w.Catalog.ReadPayload(ctx, row, payload); err != nil {
			return err
		}
		if got := ingest.Sum(payload); got != s.Digest {
			return errRowChanged
		}
		if address, err = w.Store.Replace(ctx, s.Digest, address, payload); err == nil {
			err = w.readBack(ctx, s.Digest, address, payload)
		}
	}
	if err != nil {
		return &storeError{fmt.Errorf("the copy at %s: %w", at, err)}
	}
	s.Address = address
	return nil
}

// readBack checks that the object at address has the digest. It reads it into buffer unless the
// store attests the digest.
func (w *fileRun) readBack(ctx context.Context, digest ingest.Digest, address ingest.Address, buffer []byte) error {
	if !w.ReadBack {
		attested, err := w.Store.Stat(ctx, digest, address)
		if err != nil || attested {
			return err
		}
	}
	if err := w.Store.Get(ctx, digest, address, 0, buffer); err != nil {
		return err
	}
	if got := ingest.Sum(buffer); got != digest {
		return &ingest.MismatchError{Want: digest, Got: got}
	}
	return nil
}
