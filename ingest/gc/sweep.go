package gc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// batchObjects is the number of objects that are hidden, checked and deleted together: the limit of
// Referenced.
const batchObjects = 1000

// sweep is one pass over a store.
type sweep struct {
	*Collector
	job   ingest.Lease
	sum   *Collection
	found func(ingest.Object)
	limit time.Time // objects written later are kept
}

func (s *sweep) all(ctx context.Context) error {
	var batch []ingest.Object
	for object, err := range s.Store.List(ctx) {
		if err != nil {
			return err
		}
		if batch = append(batch, object); len(batch) < batchObjects {
			continue
		}
		if err := s.batch(ctx, batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return s.batch(ctx, batch)
}

// batch deletes the objects that no row needs, and restores those that a row needs and an
// interrupted gc left hidden.
func (s *sweep) batch(ctx context.Context, batch []ingest.Object) error {
	needed, err := s.needed(ctx, batch)
	if err != nil {
		return err
	}
	var garbage, hidden []ingest.Object
	for _, object := range batch {
		switch {
		case needed(object) && object.Hidden:
			hidden = append(hidden, object)
		case needed(object):
		case object.Modified.After(s.limit):
			s.keep(object)
		default:
			garbage = append(garbage, object)
		}
	}
	if !s.Remove {
		for _, object := range garbage {
			s.countRemoved(object)
		}
		return nil
	}
	if err := s.restore(ctx, hidden); err != nil {
		return err
	}
	return s.remove(ctx, garbage)
}

// needed returns a function that reports whether a row needs an object. A row without a name needs
// all objects with its digest.
func (s *sweep) needed(ctx context.Context, objects []ingest.Object) (func(ingest.Object) bool, error) {
	var digests []ingest.Digest
	for _, object := range objects {
		if !object.Digest.IsZero() {
			digests = append(digests, object.Digest)
		}
	}
	names, err := s.Catalog.Referenced(ctx, digests)
	return func(object ingest.Object) bool {
		return slices.Contains(names[object.Digest], object.Name) || slices.Contains(names[object.Digest], "")
	}, err
}

// errRestore makes Store.Delete restore objects.
var errRestore = errors.New("rows need it")

func (s *sweep) restore(ctx context.Context, hidden []ingest.Object) error {
	if len(hidden) == 0 {
		return nil
	}
	_, err := s.Store.Delete(ctx, hidden, func(context.Context) error { return errRestore })
	if errors.Is(err, errRestore) {
		return nil
	}
	return err
}

// remove deletes the objects if the job still has its lease and still no row needs them.
func (s *sweep) remove(ctx context.Context, garbage []ingest.Object) error {
	if len(garbage) == 0 {
		return nil
	}
	failed, err := s.Store.Delete(ctx, garbage, func(ctx context.Context) error { return s.confirm(ctx, garbage) })
	if err != nil {
		return err
	}
	var unreachable error
	for i, object := range garbage {
		switch err := failed[i]; {
		case err == nil:
			s.countRemoved(object)
		case errors.Is(err, ingest.ErrModified):
			s.keep(object)
		case errors.Is(err, ingest.ErrUnreachable), ctx.Err() != nil:
			unreachable = err
		default:
			s.countRefused(object, err)
		}
	}
	return unreachable
}

// confirm is step 4 of the package comment.
func (s *sweep) confirm(ctx context.Context, garbage []ingest.Object) error {
	if err := s.Catalog.Renew(ctx, s.job); err != nil {
		return err
	}
	needed, err := s.needed(ctx, garbage)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(garbage, needed); i >= 0 {
		return fmt.Errorf("a new row needs %s, and its batch was not deleted: run gc again",
			ingest.Printable(garbage[i].Name))
	}
	return nil
}

func (s *sweep) countRefused(object ingest.Object, err error) {
	s.sum.Refused++
	if s.Refused != nil {
		s.Refused(object, err)
	}
}

func (s *sweep) keep(object ingest.Object) {
	s.sum.Young++
	s.sum.YoungBytes += object.Bytes
}

func (s *sweep) countRemoved(object ingest.Object) {
	if object.Digest.IsZero() {
		s.sum.Remains++
	} else {
		s.sum.Payloads++
	}
	s.sum.Bytes += object.Bytes
	s.found(object)
}
