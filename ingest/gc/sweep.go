package gc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
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
	needed, instead, err := s.needed(ctx, batch)
	if err != nil {
		return err
	}
	s.sum.Instead += int64(instead)
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
	if err := ingest.Restore(ctx, s.Store, hidden); err != nil {
		return err
	}
	return s.remove(ctx, garbage)
}

// needed returns a function that reports whether a row needs an object. instead is how many of them are needed
// because what the row names is lost.
func (s *sweep) needed(ctx context.Context, objects []ingest.Object) (needs func(ingest.Object) bool, instead int,
	err error) {
	var digests []ingest.Digest
	for _, object := range objects {
		if !object.Digest.IsZero() {
			digests = append(digests, object.Digest)
		}
	}
	names, err := s.Catalog.Referenced(ctx, digests)
	if err != nil {
		return nil, 0, err
	}
	byName, lost := make([]bool, len(objects)), make([]bool, len(objects))
	group, work := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i, object := range objects {
		if byName[i] = isNeeded(object, names[object.Digest]); byName[i] {
			continue
		}
		group.Go(func() (err error) {
			lost[i], err = s.lost(work, object.Digest, names[object.Digest])
			return err
		})
	}
	err = group.Wait()
	keep := map[string]bool{}
	for i, object := range objects {
		keep[object.Name] = byName[i] || lost[i]
		if lost[i] {
			instead++
		}
	}
	return func(object ingest.Object) bool { return keep[object.Name] }, instead, err
}

// workers is the number of payloads that are looked for at the same time.
const workers = 16

// lost reports whether a payload that a row names is not in the store. Then another encoding of it may be all
// that is left: the catalogue may have been restored from a copy that was made before recompress.
func (s *sweep) lost(ctx context.Context, digest ingest.Digest, names []string) (bool, error) {
	if s.Descriptions == nil { // all names are by position
		return false, nil
	}
	for _, name := range names {
		encoding, ok := describe.EncodingOf(name, digest)
		address := s.Descriptions.AddressOf(digest, 0, encoding)
		if !ok || name != address.URI && name != address.Name {
			continue // in another kind of store, or another container that the URI names
		}
		_, err := s.Store.Stat(ctx, digest, address)
		if errors.Is(err, ingest.ErrUnreachable) || ctx.Err() != nil {
			return false, err
		}
		// The size that the row names is not known here. No payload has 0 bytes.
		if size := (*ingest.SizeError)(nil); err == nil || !errors.As(err, &size) {
			return true, nil
		}
	}
	return false, nil
}

// isNeeded reports whether one of the names that Referenced returned for the object's digest is
// that of object. A row without a name has its URI, whose last element is the name of the payload's
// file or blob: the folder differs if other tools copied the payloads into a container. A row whose
// URI has another form needs all objects of its digest, and so does one without a URI.
func isNeeded(object ingest.Object, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		if !strings.Contains(name, ":") {
			return name == "" || name == object.Name
		}
		element := lastElement(name)
		return !isPayload(element, object.Digest) || element == lastElement(object.Name)
	})
}

// lastElement returns what follows the last slash or colon.
func lastElement(name string) string { return name[strings.LastIndexAny(name, "/:")+1:] }

// isPayload reports whether element has the form that stores by content give to payloads of digest.
func isPayload(element string, digest ingest.Digest) bool {
	stored, ok := strings.CutPrefix(element, digest.String())
	return ok && strings.Trim(stored, "-0123456789abcdef") == ""
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
	needed, _, err := s.needed(ctx, garbage)
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
