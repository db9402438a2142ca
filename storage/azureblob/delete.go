package azureblob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"golang.org/x/sync/errgroup"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// Delete hides the objects, asks confirm, and removes them or puts them back; see ingest.Store.
//
// To hide a blob is to add a mark to its metadata, on the condition that it is the write that was
// listed. That gives it a new ETag, and the removal is conditional on that one. A Put that sees the
// mark does not rely on the blob: it writes it again, on the condition that it is still the one
// that was seen. So either the removal comes first, and Put finds nothing and writes; or the write
// does, and the removal fails. To put a blob back is to take the mark from it, on the same
// condition, so that a removal by somebody who has gone on after a long pause fails as well.
func (s *Store) Delete(
	ctx context.Context,
	objects []ingest.Object,
	confirm func(context.Context) error,
) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d := &deletion{
		Store:   s,
		token:   rand.Text(),
		objects: objects,
		tags:    make([]azcore.ETag, len(objects)),
		outcome: make([]error, len(objects)),
	}
	d.each(ctx, d.hide, func(int) bool { return true })
	err := ctx.Err()
	if err == nil {
		err = confirm(ctx)
	}
	settle := d.remove
	if err != nil {
		settle = d.putBack
	}
	// What is hidden is dealt with although ctx has ended, but not for long: the next gc can do so
	// too.
	rest, cancel := context.WithCancel(ctx)
	if ctx.Err() != nil {
		rest, cancel = context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	}
	defer cancel()
	d.each(rest, settle, func(i int) bool { return d.tags[i] != "" })
	return d.outcome, err
}

// settleTimeout bounds what Delete does after its context has ended.
const settleTimeout = 10 * time.Second

// deletion is one call of Delete.
type deletion struct {
	*Store
	token   string // the mark
	objects []ingest.Object
	tags    []azcore.ETag // of the blobs while they are hidden; empty for one that is gone or stays
	outcome []error
}

// each calls do for the objects that are wanted, several at once, and keeps its errors.
func (d *deletion) each(ctx context.Context, do func(ctx context.Context, i int) error, wanted func(i int) bool) {
	var group errgroup.Group
	group.SetLimit(d.workers)
	for i := range d.objects {
		if !wanted(i) {
			continue
		}
		group.Go(func() error {
			d.outcome[i] = storage.Do(ctx, d.policy, func() error { return do(ctx, i) })
			return nil
		})
	}
	_ = group.Wait() // each error is kept
}

// hide marks a blob, if it is still the write that was listed.
func (d *deletion) hide(ctx context.Context, i int) error {
	object := d.objects[i]
	_, isContent := payloadDigest(object.Name)
	_, isPosition := parsePosition(object.Name)
	if !isContent && !isPosition || object.Tag == "" {
		return fmt.Errorf("remove %s: %w", ingest.Printable(object.Name), errNoName)
	}
	if object.Hidden {
		d.tags[i] = quoted(object.Tag)
		return nil
	}
	there, err := d.look(ctx, object.Name)
	switch {
	case err != nil || there == nil:
		return err
	case there.metadata.get(metaHidden) == d.token: // by a request whose answer was lost
		d.tags[i] = there.tag
		return nil
	case there.ETag != object.Tag:
		return fmt.Errorf("%s: %w", there.URI, ingest.ErrModified)
	}
	d.tags[i], err = d.mark(ctx, there, d.token)
	switch {
	case isMissing(err):
		return nil
	case isTaken(err): // by another writer, or by ourselves with an answer that was lost
		return d.hideAgain(ctx, i)
	case refused(err, bloberror.BlobArchived, bloberror.BlobBeingRehydrated):
		return fmt.Errorf(
			"%s is in the archive tier, and cannot be taken out of use there: move it to another tier first",
			there.URI,
		)
	}
	return err
}

// hideAgain looks at a blob that is no longer the one that was to be marked.
func (d *deletion) hideAgain(ctx context.Context, i int) error {
	there, err := d.look(ctx, d.objects[i].Name)
	switch {
	case err != nil || there == nil:
		return err
	case there.metadata.get(metaHidden) == d.token:
		d.tags[i] = there.tag
		return nil
	}
	return fmt.Errorf("%s: %w", there.URI, ingest.ErrModified)
}

// mark sets the mark of a blob, or takes it away, and keeps its other metadata. It returns the new
// ETag.
func (s *Store) mark(ctx context.Context, there *present, mark string) (azcore.ETag, error) {
	m := there.metadata.renamed().with(metaHidden, mark)
	answer, err := s.container.NewBlobClient(there.Name).
		SetMetadata(ctx, m, &blob.SetMetadataOptions{AccessConditions: ifStill(there.tag)})
	if err != nil {
		return "", s.failed(ctx, "set the metadata of", there.Name, err)
	}
	if answer.ETag == nil {
		return "", &Error{
			Act:       "set the metadata of",
			URL:       there.URI,
			transient: true,
			cause:     errors.New("the answer has no ETag"),
		}
	}
	return *answer.ETag, nil
}

func ifStill(tag azcore.ETag) *blob.AccessConditions {
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: to.Ptr(tag)}}
}

// remove deletes a blob that is still hidden.
func (d *deletion) remove(ctx context.Context, i int) error {
	name := d.objects[i].Name
	_, err := d.container.NewBlobClient(name).Delete(ctx, &blob.DeleteOptions{AccessConditions: ifStill(d.tags[i])})
	if err == nil {
		return nil
	}
	err = d.failed(ctx, "remove", name, err)
	if isTaken(err) { // some services say so of what is gone, too
		there, looked := d.look(ctx, name)
		switch {
		case looked != nil:
			return looked
		case there != nil:
			return fmt.Errorf("%s: %w", there.URI, ingest.ErrModified)
		}
		return nil
	}
	if isMissing(err) {
		return nil
	}
	return err
}

// putBack takes the mark from a blob that is still hidden.
func (d *deletion) putBack(ctx context.Context, i int) error {
	there, err := d.look(ctx, d.objects[i].Name)
	if err != nil || there == nil || there.tag != d.tags[i] {
		return err
	}
	if _, err = d.mark(ctx, there, ""); isTaken(err) || isMissing(err) {
		return nil
	}
	return err
}
