package migrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// clear reads the copy of a file, and clears the row's path if the copy is intact.
func (r *locatorRun) clear(ctx context.Context, job ingest.Lease, atom ingest.FileAtom) error {
	copied := r.reader
	if !atom.InRow {
		store, err := r.At(ctx, atom)
		switch {
		case errors.Is(err, ingest.ErrUnreachable):
			return &fatalError{err}
		case err != nil:
			return fmt.Errorf("%w; the path was not cleared", err)
		}
		copied.Store = store
	}
	r.expect(atom.Bytes)
	switch err := copied.CheckAtom(ctx, atom); {
	case isDamage(err):
		return r.withdraw(ctx, job, atom, err)
	case errors.Is(err, ingest.ErrUnreachable):
		return &fatalError{err}
	case err != nil:
		return fmt.Errorf("cannot read the copy; the path was not cleared: %w", err)
	}
	cleared, err := r.Catalog.ClearLocator(ctx, job, atom)
	switch {
	case err != nil:
		return r.refusal(ctx, atom, err)
	case !cleared:
		return errRowChanged
	}
	r.report.Cleared.add(atom.Bytes)
	return nil
}

// withdraw removes a damaged copy from its row if the file is intact at its path, so that the next
// run copies the file again. It returns an error in every case.
func (r *locatorRun) withdraw(ctx context.Context, job ingest.Lease, atom ingest.FileAtom, damage error) error {
	damage = fmt.Errorf("the copy is damaged or missing; the path was not cleared: %w", damage)
	if err := r.checkFile(ctx, atom, atom.Locator); err != nil {
		return fmt.Errorf("%w; the file at its path cannot replace it: %w", damage, err)
	}
	if err := r.restore(ctx, job, atom, atom.Locator); err != nil {
		return fmt.Errorf("%w; the copy was not removed from the row: %w", damage, err)
	}
	return fmt.Errorf("%w; the copy was removed from the row, and the next run copies the file again", damage)
}

// toBack reports whether the row is to be put back to having only a path.
func (r *locatorRun) toBack(a ingest.FileAtom) bool {
	return r.Back && a.HasCopy() && formerPath(a) != ""
}

// formerPath returns the path of the file of a row. If it was cleared, it is the one in Metadata of a
// row that was registered with a path: others may have had their payload from the start.
func formerPath(a ingest.FileAtom) string {
	if a.Locator != "" {
		return a.Locator
	}
	claims, _ := readMetadata(a.Metadata)
	if !claims.registered {
		return ""
	}
	return claims.path
}

// back puts a row back to having only a path, after reading the file there. A payload in a store is
// left to gc.
func (r *locatorRun) back(ctx context.Context, job ingest.Lease, atom ingest.FileAtom) error {
	path := formerPath(atom)
	if err := r.checkFile(ctx, atom, path); err != nil {
		return fmt.Errorf("the row keeps its copy: %w", err)
	}
	if atom.InRow { // another program may have put other bytes there
		r.expect(atom.Bytes)
		if err := r.reader.CheckAtom(ctx, atom); err != nil {
			return fmt.Errorf("the row keeps its payload, which is not the content of the file: %w", err)
		}
	}
	if err := r.restore(ctx, job, atom, path); err != nil {
		return err
	}
	r.report.Back.add(atom.Bytes)
	if r.Progress != nil {
		r.Progress.FilesDone.Add(1)
	}
	return nil
}

// checkFile reads the file at a path. The file must have the ContentHash of the row.
func (r *locatorRun) checkFile(ctx context.Context, atom ingest.FileAtom, locator string) error {
	o, err := r.open(locator)
	if err != nil {
		return err
	}
	defer o.file.Close() // it was only read
	defer r.begin(o)()
	digest, err := o.hash(ctx)
	if err == nil {
		err = o.unchanged(r.Paths)
	}
	if err == nil && digest != atom.Digest {
		err = fmt.Errorf("the file has SHA-256 %s, and ContentHash is %s", digest, atom.Digest)
	}
	return err
}

// restore removes the copy from a row, and sets its path.
func (r *locatorRun) restore(ctx context.Context, job ingest.Lease, atom ingest.FileAtom, locator string) error {
	restored, err := r.Catalog.RestoreLocator(ctx, job, atom, locator)
	switch {
	case err != nil:
		return r.refusal(ctx, atom, err)
	case !restored:
		return errRowChanged
	}
	return nil
}
