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

// Delete hides the objects, calls confirm, and deletes them or puts them back; see ingest.Store.
//
// Delete hides a blob by adding a mark to its metadata, if it was not modified since it was listed.
// That changes the ETag, and the deletion is conditional on the new one. Put does not rely on a
// marked blob: it overwrites it, if it is still the one that Put saw. So either the deletion comes
// first, and Put finds no blob and writes; or Put does, and the deletion fails. Delete puts a blob
// back by removing the mark, on the same condition, so that the deletion of a process that resumes
// after a long pause fails, too.
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
	finish := d.remove
	if err != nil {
		finish = d.putBack
	}
	// Finish even if ctx has ended, but not for long: the next gc can do it, too.
	rest, cancel := context.WithCancel(ctx)
	if ctx.Err() != nil {
		rest, cancel = context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	}
	defer cancel()
	d.each(rest, finish, func(i int) bool { return d.tags[i] != "" })
	return d.outcome, err
}

// finishTimeout bounds the time that Delete takes after its context has ended.
const finishTimeout = 10 * time.Second

// deletion is one call of Delete.
type deletion struct {
	*Store
	token   string // the mark
	objects []ingest.Object
	tags    []azcore.ETag // of the hidden blobs; empty for one that is gone or stays
	outcome []error
}

// each calls do for the wanted objects, several at once, and stores its errors in outcome.
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
	_ = group.Wait() // always nil
}

// hide marks a blob if it was not modified since it was listed.
func (d *deletion) hide(ctx context.Context, i int) error {
	object := d.objects[i]
	_, isContent := parseContent(object.Name)
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
	case there.metadata.get(metaHidden) == d.token: // marked by a request whose answer was lost
		d.tags[i] = there.tag
		return nil
	case there.ETag != object.Tag:
		return fmt.Errorf("%s: %w", there.URI, ingest.ErrModified)
	}
	d.tags[i], err = d.mark(ctx, there, d.token)
	switch {
	case isMissing(err):
		return nil
	case isTaken(err): // modified by another writer, or by us with a lost answer
		return d.hideAgain(ctx, i)
	case refused(err, bloberror.BlobArchived, bloberror.BlobBeingRehydrated):
		return fmt.Errorf("%s is in the archive tier, where gc cannot delete it: move it to another tier first",
			there.URI)
	}
	return err
}

// hideAgain checks a blob that was modified before it could be marked.
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

// mark sets or removes the mark of a blob, and keeps its other metadata. It returns the new ETag.
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

// remove deletes a blob if it is still hidden.
func (d *deletion) remove(ctx context.Context, i int) error {
	name := d.objects[i].Name
	_, err := d.container.NewBlobClient(name).Delete(ctx, &blob.DeleteOptions{AccessConditions: ifStill(d.tags[i])})
	if err == nil {
		return nil
	}
	err = d.failed(ctx, "remove", name, err)
	if isTaken(err) { // some services return this for a missing blob, too
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

// putBack removes the mark of a blob if it is still hidden.
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
