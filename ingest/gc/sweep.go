package gc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// batchObjects is how many objects are hidden, asked about and deleted at once: as many digests as
// the catalogue takes in one question.
const batchObjects = 1000

// sweep is one look through a store.
type sweep struct {
	*Collector
	job   ingest.Lease
	sum   *Collection
	found func(ingest.Object)
	limit time.Time // what was written later is kept
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

// batch asks the rows for what was listed. It deletes what they do not need, and puts back what
// they need and an interrupted gc has left hidden.
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
			s.young(object)
		default:
			garbage = append(garbage, object)
		}
	}
	if !s.Remove {
		for _, object := range garbage {
			s.removed(object)
		}
		return nil
	}
	if err := s.putBack(ctx, hidden); err != nil {
		return err
	}
	return s.remove(ctx, garbage)
}

// needed asks the catalogue which of the objects a row refers to. A row that gives no name refers
// to a digest.
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

// errNeeded is not to be deleted, but to be put back.
var errNeeded = errors.New("rows need it")

func (s *sweep) putBack(ctx context.Context, hidden []ingest.Object) error {
	if len(hidden) == 0 {
		return nil
	}
	_, err := s.Store.Delete(ctx, hidden, func(context.Context) error { return errNeeded })
	if errors.Is(err, errNeeded) {
		return nil
	}
	return err
}

// remove deletes the objects, if the job's lease is still held and rows still do not need them.
func (s *sweep) remove(ctx context.Context, garbage []ingest.Object) error {
	if len(garbage) == 0 {
		return nil
	}
	failed, err := s.Store.Delete(ctx, garbage, func(ctx context.Context) error { return s.confirm(ctx, garbage) })
	if err != nil {
		return err
	}
	var unanswered error
	for i, object := range garbage {
		switch err := failed[i]; {
		case err == nil:
			s.removed(object)
		case errors.Is(err, ingest.ErrModified):
			s.young(object)
		case errors.Is(err, ingest.ErrUnreachable), ctx.Err() != nil:
			unanswered = err
		default:
			s.refuse(object, err)
		}
	}
	return unanswered
}

// confirm is asked once the objects are hidden; see the package comment.
func (s *sweep) confirm(ctx context.Context, garbage []ingest.Object) error {
	if err := s.Catalog.Renew(ctx, s.job); err != nil {
		return err
	}
	needed, err := s.needed(ctx, garbage)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(garbage, needed); i >= 0 {
		return fmt.Errorf("a row came to need %s while gc looked at it; nothing of its batch is deleted: run gc again",
			ingest.Printable(garbage[i].Name))
	}
	return nil
}

// refuse notes what could not be deleted.
func (s *sweep) refuse(object ingest.Object, err error) {
	s.sum.Refused++
	if s.Refused != nil {
		s.Refused(object, err)
	}
}

func (s *sweep) young(object ingest.Object) {
	s.sum.Young++
	s.sum.YoungBytes += object.Bytes
}

func (s *sweep) removed(object ingest.Object) {
	if object.Digest.IsZero() {
		s.sum.Remains++
	} else {
		s.sum.Payloads++
	}
	s.sum.Bytes += object.Bytes
	s.found(object)
}
