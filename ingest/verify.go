package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hartonomous/ingest/ingest/sha256x2"
)

// Verifier reads payloads back and hashes them.
type Verifier struct {
	Catalog  Catalog
	Payloads Payloads
	Options  Options
	// Repair, if not nil, is a good copy of the file that is verified: a damaged or missing payload is
	// written again from it, if the bytes there have the right digest.
	Repair io.ReaderAt
	// Read has payloads read for which the store vouches without.
	Read bool
	// Server, if not nil, hashes the payloads in rows, so that Verify need not read them.
	Server   Hasher
	Progress *Progress // may be nil; BytesRecorded counts bytes verified
}

// Damage is one thing that is wrong with a stored file.
type Damage struct {
	File     StoredFile
	Piece    StoredSegment // zero where the file as a whole is wrong
	Reason   error
	Repaired bool
}

// Missing reports whether there is no payload at all.
func (d Damage) Missing() bool { return errors.Is(d.Reason, ErrNoPayload) }

// Verify reads every payload of file, and calls found for each that is damaged or missing. It checks each segment's
// SHA-256, that the segments cover the file, and that together they have the file's SHA-256. The last is not known where a
// payload need not be read: the store vouches for it, or the server hashes it. A payload that was written again since its row
// was is read; if it is right, its rows are given the new ETag. An error means that verifying itself could not go on.
func (v *Verifier) Verify(ctx context.Context, file StoredFile, found func(Damage)) error {
	l, err := v.Options.lender(file.SegmentBytes, v.Payloads)
	if err != nil {
		return err
	}
	whole, at, sound := sha256x2.New(), int64(0), true // sound: whole gets all the right bytes
	var rewritten sync.Map                             // by offset: *RewrittenError
	read := func(ctx context.Context, piece StoredSegment, buffer []byte) ([]byte, error) {
		payload, again, err := v.read(ctx, piece, buffer, l)
		if again != nil {
			rewritten.Store(piece.Offset, again)
		}
		return payload, err
	}
	err = eachPiece(ctx, v.Catalog.Segments(ctx, file.ID), l, read, func(f fetched) error {
		if f.Offset != at { // of a row that is missing no more is known than where it should be
			found(Damage{File: file, Reason: f.damage(at)})
			sound = false
		}
		if errors.Is(f.err, ErrUnreachable) {
			return fmt.Errorf("%s: %w", f.Place(), f.err)
		}
		before := *whole
		f.hash(whole)
		reason := f.damage(f.Offset)
		if reason == errSound {
			reason, sound = nil, false
		}
		if reason != nil {
			d := Damage{File: file, Piece: f.StoredSegment, Reason: reason}
			payload, err := v.repair(ctx, &d)
			found(d)
			if err != nil {
				return err
			}
			*whole, sound = before, sound && d.Repaired
			whole.Write(payload)
		} else if again, ok := rewritten.LoadAndDelete(f.Offset); ok {
			if err := v.note(ctx, f.StoredSegment, again.(*RewrittenError)); err != nil {
				return err
			}
		}
		at = f.Offset + f.Bytes
		v.progress().BytesRecorded.Add(f.Bytes)
		return nil
	})
	if err != nil {
		return err
	}
	if at != file.Bytes {
		found(Damage{File: file, Reason: fmt.Errorf("rows cover %d of its %d bytes: %w", at, file.Bytes, ErrIncomplete)})
	} else if got := Digest(whole.Sum()); sound && got != file.Digest {
		found(Damage{File: file, Reason: &MismatchError{Want: file.Digest, Got: got}})
	}
	return nil
}

// errSound says of a payload that it is sound and was not read.
var errSound = errors.New("sound")

// read returns the payload of piece, or an error that says what is known of it without reading. The store is asked before
// it is read, so that a write that comes later is not missed. What was written again since its row was is read in any case.
func (v *Verifier) read(ctx context.Context, piece StoredSegment, buffer []byte, l lender) (payload []byte, again *RewrittenError, err error) {
	switch {
	case piece.inRow() && v.Server != nil:
		var sum Digest
		if sum, err = v.Server.HashPayload(ctx, piece); err == nil && sum != piece.Digest {
			err = fmt.Errorf("payload is damaged: it has SHA-256 %s, and should have %s", sum, piece.Digest)
		}
		return nil, nil, cmp.Or(err, errSound)
	case !piece.inRow() && v.Payloads.Store != nil:
		attested, err := v.Payloads.Store.Stat(ctx, piece.Digest, piece.Address)
		if err != nil && !errors.As(err, &again) {
			return nil, nil, err
		}
		if attested && !v.Read {
			v.progress().BytesAttested.Add(piece.Bytes)
			return nil, nil, errSound
		}
	}
	payload, err = l.read(ctx, piece, buffer)
	return payload, again, err
}

// note has the rows of a payload that was written again, and is right, say so.
func (v *Verifier) note(ctx context.Context, piece StoredSegment, again *RewrittenError) error {
	if err := v.Catalog.Relocate(ctx, piece, again.Now); err != nil {
		return fmt.Errorf("%s is right, and was written again, which could not be noted: %w", piece.Place(), err)
	}
	return nil
}

// repair writes the payload of a damaged piece again from the good copy, and returns it.
func (v *Verifier) repair(ctx context.Context, d *Damage) ([]byte, error) {
	if v.Repair == nil {
		return nil, nil
	}
	payload := make([]byte, d.Piece.Bytes)
	if _, err := v.Repair.ReadAt(payload, d.Piece.Offset); atEnd(err) != nil {
		return nil, err
	}
	if Sum(payload) != d.Piece.Digest {
		d.Reason = fmt.Errorf("%w; the file given for repair does not have the right bytes there", d.Reason)
		return nil, nil
	}
	if err := v.replace(ctx, d.Piece, payload); err != nil {
		return nil, fmt.Errorf("repair %s: %w", d.Piece.Place(), err)
	}
	d.Repaired = true
	return payload, nil
}

func (v *Verifier) replace(ctx context.Context, piece StoredSegment, payload []byte) error {
	if piece.inRow() {
		if v.Payloads.Rows == nil {
			return errors.New("it lies in a row, and this catalogue keeps no payloads in rows")
		}
		return v.Payloads.Rows.ReplacePayload(ctx, piece, payload)
	}
	if v.Payloads.Store == nil {
		return fmt.Errorf("it lies in a store (%s): name it with --store", piece.Address.URI)
	}
	address, err := v.Payloads.Store.Replace(ctx, piece.Digest, piece.Address, payload)
	if err != nil || address == piece.Address {
		return err
	}
	return v.Catalog.Relocate(ctx, piece, address)
}

func (v *Verifier) progress() *Progress {
	if v.Progress == nil {
		return &Progress{}
	}
	return v.Progress
}
