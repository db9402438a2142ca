package reader

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"sync/atomic"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/codec"
)

// Verifier checks stored files and repairs damaged payloads.
type Verifier struct {
	*Reader
	// Attested accepts payloads that the store attests (ingest.Store.Stat) without reading them.
	Attested bool
	// Server has the catalogue's server hash payloads in rows instead of reading them.
	Server bool
	// Repair, if not nil, is a copy of the file. Verify replaces damaged and missing payloads with
	// its bytes if they have the right SHA-256. It needs Writer.
	Repair io.ReaderAt
	// Writer, if not nil, records the new ETags of payloads that were overwritten. It uses Lease.
	Writer Writer
	Lease  ingest.Lease
	// Hashed counts the bytes that the server hashed.
	Hashed atomic.Int64
}

// Writer is the part of ingest.Catalog that a Verifier needs for changes.
type Writer interface {
	Layers
	Relocate(ctx context.Context, lease ingest.Lease, s ingest.StoredSegment, address ingest.Address) error
	ReplacePayload(ctx context.Context, lease ingest.Lease, s ingest.StoredSegment, payload []byte) error
}

// Damage describes damage of a stored file.
type Damage struct {
	File     ingest.StoredFile
	Segment  ingest.StoredSegment // zero if it concerns the whole file
	Reason   error
	Repaired bool
}

// Missing reports whether the payload is missing.
func (d Damage) Missing() bool { return errors.Is(d.Reason, ingest.ErrNoPayload) }

// Replaced reports whether another file is at the path of a registered file.
func (d Damage) Replaced() bool { return errors.Is(d.Reason, ErrReplaced) }

// verification is one call of Verify.
type verification struct {
	*Verifier
	file   ingest.StoredFile
	found  func(Damage)
	spare  []byte                    // for segments that visit reads because check did not
	types  map[ingest.LayerID]string // of the elements; nil before a repair needs them
	whole  hash.Hash                 // of the bytes before at
	unread bool                      // whole lacks some bytes
	at     int64                     // where the next segment starts
}

// Verify checks every segment of file, and calls found for each that is damaged or missing, in file
// order. It also checks that the segments cover the file and, if all were read, the file's SHA-256.
// If an intact payload was overwritten since its row was recorded, the rows get the new ETag. An
// error means that Verify could not finish.
func (v *Verifier) Verify(ctx context.Context, file ingest.StoredFile, found func(Damage)) error {
	if file.Whole {
		return v.verifyWhole(ctx, file, found)
	}
	if file.ID == 0 {
		return v.verifyTensors(ctx, file, found)
	}
	p, err := v.pass(file, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	w := &verification{Verifier: v, file: file, found: found, whole: sha256.New()}
	if v.Attested || v.Server { // taken before the pass starts: waiting for a buffer during it can deadlock
		lease := v.Pool.Lease()
		defer lease.Close()
		p.beside = 2 * file.SegmentBytes // for an encoded payload, too
		if w.spare, err = lease.Get(ctx, p.beside); err != nil {
			return err
		}
	}
	p.fetch, p.reads = w.check, w.reads
	if err := p.each(ctx, func(f fetched) error { return w.visit(ctx, f) }); err != nil {
		return err
	}
	if w.at != file.Bytes {
		found(Damage{File: file, Reason: fmt.Errorf("rows cover %d of its %d bytes: %w", w.at, file.Bytes,
			ingest.ErrIncomplete)})
	} else if got := ingest.Digest(w.whole.Sum(nil)); !w.unread && got != file.Digest {
		found(Damage{File: file, Reason: &ingest.MismatchError{Want: file.Digest, Got: got}})
	}
	return nil
}

// reads reports whether check needs a buffer.
func (w *verification) reads(s ingest.StoredSegment) bool {
	if s.InStore() {
		return !w.Attested
	}
	return !w.Server
}

// check checks a segment. It calls Stat before it reads the payload, so that it notices a write in
// between.
func (w *verification) check(ctx context.Context, s ingest.StoredSegment, into []byte) fetched {
	switch {
	case !s.InStore() && w.Server:
		return w.hashOnServer(ctx, s)
	case !s.InStore() || w.Store == nil:
		return w.read(ctx, s, into)
	}
	f := fetched{StoredSegment: s}
	attested, err := w.Store.Stat(ctx, s.Digest, s.Address)
	var rewritten *ingest.RewrittenError
	switch {
	case errors.As(err, &rewritten):
		if into != nil {
			f = w.read(ctx, s, into)
		}
		f.rewritten = rewritten
	case into != nil:
		f = w.read(ctx, s, into)
	case err != nil:
		f.err = err
	case !attested:
		f.err = errors.New("the store does not attest it: verify with --read")
	default:
		f.verified = true
	}
	return f
}

func (w *verification) hashOnServer(ctx context.Context, s ingest.StoredSegment) fetched {
	f := fetched{StoredSegment: s}
	var sum ingest.Digest
	switch sum, f.err = w.Catalog.HashPayload(ctx, s); {
	case f.err != nil:
	case sum != s.Digest:
		f.err = mismatch(sum, s.Digest)
	default:
		f.verified = true
		w.Hashed.Add(s.Bytes)
	}
	return f
}

// visit evaluates the segments in file order.
func (w *verification) visit(ctx context.Context, f fetched) error {
	if f.Offset != w.at {
		w.found(Damage{File: w.file, Reason: gap(w.at, f.Offset)})
		w.unread = true
	}
	w.at = f.Offset + f.Bytes
	defer w.count(f.Bytes)
	if f.rewritten != nil && f.buffer == nil { // check did not read it
		rewritten := f.rewritten
		f = w.read(ctx, f.StoredSegment, w.spare)
		f.rewritten = rewritten
		w.unread = true
	}
	if errors.Is(f.err, ingest.ErrUnreachable) {
		return fmt.Errorf("%s: %w", f.Place(), f.err)
	}
	if f.verified {
		w.unread = true
		return nil
	}
	reason := f.damage()
	if reason == nil {
		w.whole.Write(f.payload)
		return w.recordRewrite(ctx, f)
	}
	d := Damage{File: w.file, Segment: f.StoredSegment, Reason: reason}
	err := w.repair(ctx, &d, f.buffer)
	w.found(d)
	w.unread = w.unread || !d.Repaired
	return err
}

// recordRewrite records the new ETag of an intact payload that was overwritten.
func (w *verification) recordRewrite(ctx context.Context, f fetched) error {
	if f.rewritten == nil || w.Writer == nil {
		return nil
	}
	err := w.Writer.Relocate(ctx, w.Lease, f.StoredSegment, f.rewritten.Now)
	if err != nil && !errors.Is(err, ingest.ErrMoved) { // then the row has another address by now
		return fmt.Errorf("%s is intact, but its new ETag was not recorded: %w", f.Place(), err)
	}
	return nil
}

// repair replaces the payload of a damaged segment with the bytes of Repair. buffer is the
// segment's own, or nil.
func (w *verification) repair(ctx context.Context, d *Damage, buffer []byte) error {
	s := d.Segment
	if w.Repair == nil || s.Bytes < 1 || s.Bytes > w.file.SegmentBytes {
		return nil
	}
	if buffer == nil {
		buffer = w.spare
	}
	if buffer == nil {
		return nil // checkSize refused the row
	}
	payload := buffer[:s.Bytes]
	if n, err := w.Repair.ReadAt(payload, s.Offset); err != nil && !errors.Is(err, io.EOF) {
		return err
	} else if n < len(payload) || ingest.Sum(payload) != s.Digest {
		d.Reason = fmt.Errorf("%w; the file given for repair does not have the right bytes", d.Reason)
		return nil
	}
	if err := w.replace(ctx, s, payload, buffer[s.Bytes:]); err != nil {
		return fmt.Errorf("repair %s: %w", s.Place(), err)
	}
	d.Repaired = true
	w.whole.Write(payload)
	return nil
}

// replace writes a payload. It encodes it in spare, if it was encoded.
func (w *verification) replace(ctx context.Context, s ingest.StoredSegment, payload, spare []byte) error {
	if !s.InStore() {
		return w.Writer.ReplacePayload(ctx, w.Lease, s, payload)
	}
	if w.Store == nil {
		return fmt.Errorf("it is in a store (%s): name it with --store", s.Address.URI)
	}
	at := s.Address
	if at.Codec != "" {
		encoded, err := w.encode(ctx, s, payload, spare)
		if err != nil {
			return err
		}
		if payload = encoded; ingest.Sum(encoded) != at.Stored {
			at = ingest.Address{} // of the bytes themselves
		}
	}
	address, err := w.Store.Replace(ctx, s.Digest, at, payload)
	if err != nil || address == s.Address {
		return err
	}
	return w.Writer.Relocate(ctx, w.Lease, s, address)
}

// encode returns a payload in the encoding of its row. If this version encodes it differently, encode
// returns the payload itself.
func (w *verification) encode(ctx context.Context, s ingest.StoredSegment, payload, spare []byte) ([]byte, error) {
	if len(spare) < len(payload) {
		return payload, nil
	}
	if w.types == nil {
		var err error
		if w.types, err = Types(ctx, w.Writer, w.file.Model); err != nil {
			return nil, err
		}
	}
	encoder := codec.NewEncoder()
	for _, level := range []codec.Level{codec.Auto, codec.Max} {
		encoded := encoder.Encode(spare, payload, w.types[s.Layer], level)
		if encoded != nil && ingest.Sum(encoded) == s.Address.Stored {
			return encoded, nil
		}
	}
	return payload, nil
}
