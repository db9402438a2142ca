package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/sha256x2"
)

// Verifier checks stored files, and writes damaged payloads again.
type Verifier struct {
	*Reader
	// Attested relies on a store that vouches for its payloads (ingest.Store.Stat), instead of reading them.
	Attested bool
	// Server has the catalogue's server hash payloads in rows, instead of reading them.
	Server bool
	// Repair, if not nil, is a good copy of the file: a damaged or missing payload is written again from
	// it, if the bytes
	// there have the right SHA-256. It needs Writer.
	Repair io.ReaderAt
	// Writer, if not nil, is told of payloads that were written again since their rows were. Its changes
	// are made under Lease.
	Writer Writer
	Lease  ingest.Lease
	// Hashed counts the bytes that the server hashed.
	Hashed atomic.Int64
}

// Writer is what a Verifier asks of a catalogue that it may change.
type Writer interface {
	// Relocate is that of ingest.Maintenance.
	Relocate(ctx context.Context, lease ingest.Lease, s ingest.StoredSegment, address ingest.Address) error
	// ReplacePayload is that of ingest.RowPayloads.
	ReplacePayload(ctx context.Context, lease ingest.Lease, s ingest.StoredSegment, payload []byte) error
}

// Damage is one thing that is wrong with a stored file.
type Damage struct {
	File     ingest.StoredFile
	Segment  ingest.StoredSegment // zero where the file as a whole is wrong
	Reason   error
	Repaired bool
}

// Missing reports whether there is no payload at all.
func (d Damage) Missing() bool { return errors.Is(d.Reason, ingest.ErrNoPayload) }

// Replaced reports whether there is another file where the one that was registered should be.
func (d Damage) Replaced() bool { return errors.Is(d.Reason, ErrReplaced) }

// verification is one call of Verify.
type verification struct {
	*Verifier
	file   ingest.StoredFile
	found  func(Damage)
	spare  []byte         // for what visit reads itself, of segments that look did not read
	whole  *sha256x2.Hash // of the bytes before at
	unread bool           // whole lacks some of them
	at     int64          // where the next segment begins
}

// Verify checks every segment of file, and calls found for each that is damaged or missing, in file order.
// It checks that the
// segments cover the file and, if all were read, that together they have its SHA-256. Of a payload that is right
// and was written again since its row was, the rows get the new ETag. An error means that verifying itself
// could not go on.
func (v *Verifier) Verify(ctx context.Context, file ingest.StoredFile, found func(Damage)) error {
	if file.Whole {
		return v.verifyWhole(ctx, file, found)
	}
	p, err := v.pass(file, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	w := &verification{Verifier: v, file: file, found: found, whole: sha256x2.New()}
	if v.Attested || v.Server { // taken first: who waits for a buffer in the middle may wait for ever
		lease := v.Pool.Lease()
		defer lease.Close()
		if w.spare, err = lease.Get(ctx, file.SegmentBytes); err != nil {
			return err
		}
	}
	p.fetch, p.reads = w.look, w.reads
	if err := p.each(ctx, func(f fetched) error { return w.visit(ctx, f) }); err != nil {
		return err
	}
	if w.at != file.Bytes {
		found(Damage{File: file, Reason: fmt.Errorf("rows cover %d of its %d bytes: %w", w.at, file.Bytes,
			ingest.ErrIncomplete)})
	} else if got := ingest.Digest(w.whole.Sum()); !w.unread && got != file.Digest {
		found(Damage{File: file, Reason: &ingest.MismatchError{Want: file.Digest, Got: got}})
	}
	return nil
}

// reads reports whether look wants a buffer.
func (w *verification) reads(s ingest.StoredSegment) bool {
	if s.InStore() {
		return !w.Attested
	}
	return !w.Server
}

// look finds out about a segment. The store is asked before the payload is read, so that a write that
// comes in between is
// not missed.
func (w *verification) look(ctx context.Context, s ingest.StoredSegment, into []byte) fetched {
	switch {
	case !s.InStore() && w.Server:
		return w.hashedByServer(ctx, s)
	case !s.InStore() || w.Store == nil:
		return w.read(ctx, s, into)
	}
	f := fetched{StoredSegment: s}
	attested, err := w.Store.Stat(ctx, s.Digest, s.Address)
	var again *ingest.RewrittenError
	switch {
	case errors.As(err, &again):
		if into != nil {
			f = w.read(ctx, s, into)
		}
		f.again = again
	case into != nil:
		f = w.read(ctx, s, into)
	case err != nil:
		f.err = err
	case !attested:
		f.err = errors.New("the store does not vouch for it: verify with --read")
	default:
		f.sound = true
	}
	return f
}

func (w *verification) hashedByServer(ctx context.Context, s ingest.StoredSegment) fetched {
	f := fetched{StoredSegment: s}
	var sum ingest.Digest
	switch sum, f.err = w.Catalog.HashPayload(ctx, s); {
	case f.err != nil:
	case sum != s.Digest:
		f.err = mismatch(sum, s.Digest)
	default:
		f.sound = true
		w.Hashed.Add(s.Bytes)
	}
	return f
}

// visit judges the segments in file order.
func (w *verification) visit(ctx context.Context, f fetched) error {
	if f.Offset != w.at { // of a row that is missing only its place is known
		w.found(Damage{File: w.file, Reason: gap(w.at, f.Offset)})
		w.unread = true
	}
	w.at = f.Offset + f.Bytes
	defer w.count(f.Bytes)
	if f.again != nil && f.buffer == nil { // it was only asked about
		again := f.again
		f = w.read(ctx, f.StoredSegment, w.spare)
		f.again = again
		w.unread = true
	}
	if errors.Is(f.err, ingest.ErrUnreachable) {
		return fmt.Errorf("%s: %w", f.Place(), f.err)
	}
	if f.sound {
		w.unread = true
		return nil
	}
	before := *w.whole
	f.hash(w.whole)
	reason := f.damage()
	if reason == nil {
		return w.note(ctx, f)
	}
	*w.whole = before
	d := Damage{File: w.file, Segment: f.StoredSegment, Reason: reason}
	err := w.repair(ctx, &d, f.buffer)
	w.found(d)
	w.unread = w.unread || !d.Repaired
	return err
}

// note has the rows of a payload that was written again, and is right, say so.
func (w *verification) note(ctx context.Context, f fetched) error {
	if f.again == nil || w.Writer == nil {
		return nil
	}
	if err := w.Writer.Relocate(ctx, w.Lease, f.StoredSegment, f.again.Now); err != nil {
		return fmt.Errorf("%s is right, and was written again, which could not be noted: %w", f.Place(), err)
	}
	return nil
}

// repair writes the payload of a damaged segment again from the good copy. buffer is the segment's own, or nil.
func (w *verification) repair(ctx context.Context, d *Damage, buffer []byte) error {
	s := d.Segment
	if w.Repair == nil || s.Bytes < 1 || s.Bytes > w.file.SegmentBytes {
		return nil
	}
	if buffer == nil {
		buffer = w.spare
	}
	if buffer == nil {
		return nil // its row is not plausible: there is nothing to write
	}
	payload := buffer[:s.Bytes]
	if n, err := w.Repair.ReadAt(payload, s.Offset); err != nil && !errors.Is(err, io.EOF) {
		return err
	} else if n < len(payload) || ingest.Sum(payload) != s.Digest {
		d.Reason = fmt.Errorf("%w; the file given for repair does not have the right bytes there", d.Reason)
		return nil
	}
	if err := w.replace(ctx, s, payload); err != nil {
		return fmt.Errorf("repair %s: %w", s.Place(), err)
	}
	d.Repaired = true
	w.whole.Write(payload)
	return nil
}

func (w *verification) replace(ctx context.Context, s ingest.StoredSegment, payload []byte) error {
	if !s.InStore() {
		return w.Writer.ReplacePayload(ctx, w.Lease, s, payload)
	}
	if w.Store == nil {
		return fmt.Errorf("it is in a store (%s): name it with --store", s.Address.URI)
	}
	address, err := w.Store.Replace(ctx, s.Digest, s.Address, payload)
	if err != nil || address == s.Address {
		return err
	}
	return w.Writer.Relocate(ctx, w.Lease, s, address)
}
