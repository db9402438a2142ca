package migrate

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
)

// copy copies the file of a row to the target, unless its content is stored already, and updates
// the row. It returns the updated row.
func (r *locatorRun) copy(ctx context.Context, job ingest.Lease, atom ingest.FileAtom) (ingest.FileAtom, error) {
	target := r.To(atom)
	o, err := r.openToCopy(atom, target)
	if err != nil {
		return atom, err
	}
	defer o.file.Close() // it was only read
	defer r.begin(o)()
	place, linked, err := r.place(ctx, o, atom, target)
	if err == nil {
		err = o.unchanged(r.Paths)
	}
	if err != nil {
		return atom, o.refuse(err)
	}
	from := atom
	if place.Payload != nil && o.duplicate {
		if from, err = r.merge(ctx, job, o, atom, place); err != nil {
			return atom, o.refuse(err)
		}
	}
	placed, changed, err := r.switchRow(ctx, job, from, place)
	if err != nil {
		return atom, o.refuse(err)
	}
	if !changed {
		return atom, errRowChanged
	}
	r.placed(atom, placed, o, linked)
	return placed, nil
}

// begin adds a file to the progress, and returns what to call at its end.
func (r *locatorRun) begin(o *opened) (end func()) {
	r.expect(o.size)
	if r.Progress == nil {
		return func() {}
	}
	r.Progress.FilesTotal.Add(1)
	name := filepath.Base(o.path)
	r.Progress.Begin(name)
	return func() { r.Progress.End(name) }
}

// expect adds bytes that will be read to the progress.
func (r *locatorRun) expect(bytes int64) {
	if r.Progress != nil {
		r.Progress.BytesTotal.Add(bytes)
	}
}

// place stores the content of a file, and returns its place. linked means that it was stored
// already.
func (r *locatorRun) place(ctx context.Context, o *opened, atom ingest.FileAtom, target Target) (place ingest.AtomPlace,
	linked bool, err error) {
	place = ingest.AtomPlace{Digest: o.digest, Bytes: o.size}
	if place.Digest.IsZero() && r.Split == nil { // the row claims no digest: read the file twice
		r.expect(o.size)
		if place.Digest, err = o.hash(ctx); err != nil {
			return place, false, err
		}
		o.file.read = 0
	}
	there, err := r.isStored(ctx, o, atom, place.Digest)
	switch {
	case err != nil:
		return place, false, &fatalError{err}
	case there:
		return place, true, r.check(ctx, o, place.Digest)
	case r.Split != nil:
		if place, err = r.split(ctx, o); err != nil {
			return place, false, err
		}
		if _, err = r.isStored(ctx, o, atom, place.Digest); err != nil {
			err = &fatalError{err}
		}
		return place, false, err
	case target.Store == nil:
		place.Payload = o.file
		return place, false, nil
	}
	place.Address, err = target.Store.PutFile(ctx, baseName(atom.Locator), place.Digest, o.file, o.size)
	var other *ingest.MismatchError
	switch {
	case err == nil && o.file.read < o.size: // the store had the content, and did not read the file
		err = r.check(ctx, o, place.Digest)
	case err == nil:
	case o.file.err != nil:
		return place, false, o.file.err
	case errors.As(err, &other):
		return place, false, err
	default:
		return place, false, &fatalError{fmt.Errorf("store %s: %w", ingest.Printable(target.Address), err)}
	}
	if err != nil {
		return place, false, err
	}
	return place, false, r.readBack(ctx, target.Store, place)
}

// check compares a file with a digest, unless the digest was computed from the file.
func (r *locatorRun) check(ctx context.Context, o *opened, digest ingest.Digest) error {
	if o.digest.IsZero() {
		r.expect(o.file.read - o.size) // it is not read again
		return nil
	}
	got, err := o.hash(ctx)
	if err == nil && got != digest {
		err = &ingest.MismatchError{Want: digest, Got: got}
	}
	return err
}

// merge merges a row with the other one of the same content, and returns the one that remains. It
// comes before the payload: the transaction that merges locks both rows and the rows that refer to
// them, and a payload may take long to write.
func (r *locatorRun) merge(ctx context.Context, job ingest.Lease, o *opened, atom ingest.FileAtom,
	place ingest.AtomPlace) (ingest.FileAtom, error) {
	if !o.digest.IsZero() {
		r.expect(o.size) // the file is read twice
		if err := r.check(ctx, o, place.Digest); err != nil {
			return atom, err
		}
		o.file.read = 0
	}
	place.Payload = nil
	merged, changed, err := r.switchRow(ctx, job, atom, place)
	if err == nil && !changed {
		err = errRowChanged
	}
	return merged, err
}

// isStored reports whether another atom has the content, and readers find it there.
func (r *locatorRun) isStored(ctx context.Context, o *opened, atom ingest.FileAtom, digest ingest.Digest) (bool,
	error) {
	other, err := r.Catalog.FileAtomWithDigest(ctx, digest)
	if errors.Is(err, ingest.ErrNotFound) || other.ID == atom.ID {
		return false, nil
	}
	o.duplicate = err == nil
	return err == nil && (other.HasCopy() || other.InSegments), err
}

// claim makes the store belong to this catalogue, or returns an error if it belongs to another.
func (r *locatorRun) claim(ctx context.Context, target Target) error {
	if target.Store == nil || r.claimed[target.Address] {
		return nil
	}
	if err := ingest.ClaimStore(ctx, r.Catalog, target.Store, target.Address); err != nil {
		return fmt.Errorf("store %s: %w", ingest.Printable(target.Address), err)
	}
	r.claimed[target.Address] = true
	return nil
}

// readBack checks the copy. It reads it unless the store attests its digest.
func (r *locatorRun) readBack(ctx context.Context, store ingest.Store, place ingest.AtomPlace) error {
	if !r.ReadBack {
		attested, err := store.Stat(ctx, place.Digest, place.Address)
		if err != nil {
			return &fatalError{fmt.Errorf("the copy at %s: %w", ingest.Printable(place.Address.URI), err)}
		}
		if attested {
			return nil
		}
	}
	copied := r.reader
	copied.Store, copied.Progress = store, nil
	err := copied.CheckAtom(ctx, ingest.FileAtom{Digest: place.Digest, Bytes: place.Bytes, Address: place.Address})
	if err != nil {
		return &fatalError{fmt.Errorf("the copy at %s: %w", ingest.Printable(place.Address.URI), err)}
	}
	return nil
}

// switchRow records the place in the row. A payload that goes into the row is within the memory
// limit.
func (r *locatorRun) switchRow(ctx context.Context, job ingest.Lease, atom ingest.FileAtom,
	place ingest.AtomPlace) (ingest.FileAtom, bool, error) {
	if _, streamed := r.Catalog.MaxAtomPayload(); place.Payload != nil && !streamed {
		room := r.Pool.Lease()
		defer room.Close()
		if err := room.Reserve(ctx, (1+buffer.RowCopies)*place.Bytes); err != nil {
			return atom, false, err
		}
	}
	placed, changed, err := r.Catalog.PlaceAtom(ctx, job, atom, place)
	var clash *ingest.AtomClashError
	var other *ingest.MismatchError
	file, _ := place.Payload.(*file)
	switch {
	case err == nil || errors.As(err, &clash) || errors.As(err, &other):
		return placed, changed, err
	case file != nil && file.err != nil:
		return placed, changed, file.err
	}
	return placed, changed, r.refusal(ctx, atom, err)
}

// refusal returns the error of changing a row. It ends the migration unless the catalogue still
// answers: then a constraint or a trigger of another program refused this row.
func (r *locatorRun) refusal(ctx context.Context, atom ingest.FileAtom, err error) error {
	if _, wrong := r.Catalog.FileAtom(ctx, atom.ID); wrong != nil && !errors.Is(wrong, ingest.ErrNotFound) {
		return &fatalError{err}
	}
	return err
}

// placed counts a row, and reports what else changed.
func (r *locatorRun) placed(was, now ingest.FileAtom, o *opened, linked bool) {
	count := &r.report.Moved
	if linked {
		count = &r.report.Linked
	}
	count.add(o.size)
	if o.note != "" {
		r.notice(was, "%s", o.note)
	}
	if was.Digest != now.Digest {
		r.report.Corrected++
		r.notice(was, "ContentHash was the hash of the path; it is now that of the file, %s", now.Digest)
	}
	if o.duplicate {
		r.report.Merged++
		r.notice(was, "merged with another atom of the same content; the two are now atom %d", now.ID)
	}
	if r.Progress != nil {
		r.Progress.FilesDone.Add(1)
	}
}

// split ingests the file as a model of its own, in segments.
func (r *locatorRun) split(ctx context.Context, o *opened) (ingest.AtomPlace, error) {
	if err := r.Split(ctx, o.path, o.digest); err != nil {
		return ingest.AtomPlace{}, err
	}
	info, err := o.file.Stat()
	if err != nil {
		return ingest.AtomPlace{}, err
	}
	stored, err := r.Catalog.Unchanged(ctx, o.path, info.Size(), info.ModTime().UnixNano())
	if errors.Is(err, ingest.ErrNotFound) {
		return ingest.AtomPlace{}, ingest.ErrChanged
	}
	if err != nil {
		return ingest.AtomPlace{}, &fatalError{err}
	}
	if !o.digest.IsZero() && stored.Digest != o.digest {
		return ingest.AtomPlace{}, &ingest.MismatchError{Want: o.digest, Got: stored.Digest}
	}
	if r.Progress != nil {
		r.Progress.BytesRecorded.Add(o.size) // Split has read it
	}
	return ingest.AtomPlace{Digest: stored.Digest, Bytes: stored.Bytes}, nil
}
