package azureblob

import (
	"context"
	"errors"
	"iter"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/hartonomous/ingest/ingest"
)

// list yields the blobs with a prefix, page by page. A container that does not exist is empty,
// unless the store has an owner: then it is an error. Each page is retried by itself, since yielded
// items cannot be taken back.
func (s *Store) list(ctx context.Context, prefix string, withMetadata bool) iter.Seq2[*container.BlobItem, error] {
	return func(yield func(*container.BlobItem, error) bool) {
		options := &container.ListBlobsFlatOptions{Include: container.ListBlobsInclude{Metadata: withMetadata}}
		if prefix != "" {
			options.Prefix = to.Ptr(prefix)
		}
		if s.pageSize > 0 {
			options.MaxResults = to.Ptr(s.pageSize)
		}
		for {
			page, err := tried(ctx, s, func() (container.ListBlobsFlatResponse, error) { return s.page(ctx, options) })
			if err != nil {
				if !s.mayMakeContainer(err) {
					yield(nil, err)
				}
				return
			}
			if !yieldPage(ctx, page.Segment, yield) || page.NextMarker == nil || *page.NextMarker == "" {
				return
			}
			options.Marker = page.NextMarker
		}
	}
}

// page fetches one page. The SDK's pager does not survive an error, so each is used for one page.
func (s *Store) page(
	ctx context.Context,
	options *container.ListBlobsFlatOptions,
) (container.ListBlobsFlatResponse, error) {
	page, err := s.container.NewListBlobsFlatPager(options).NextPage(ctx)
	if err != nil {
		return page, s.failed(ctx, "list", "", err)
	}
	if page.Segment == nil { // not a listing
		return page, &Error{
			Act:       "list",
			URL:       s.urlOf(""),
			transient: true,
			cause:     errors.New("the answer is not a listing"),
		}
	}
	return page, nil
}

// yieldPage reports whether to continue the listing.
func yieldPage(
	ctx context.Context,
	segment *container.BlobFlatListSegment,
	yield func(*container.BlobItem, error) bool,
) bool {
	for _, item := range segment.BlobItems {
		if item.Name == nil || item.Properties == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
			return false
		}
		if !yield(item, nil) {
			return false
		}
	}
	return true
}

// List yields the payloads in the container, in both layouts; see ingest.Store. It ignores other
// blobs: those with other names, and those by position without a digest in their metadata.
func (s *Store) List(ctx context.Context) iter.Seq2[ingest.Object, error] {
	return func(yield func(ingest.Object, error) bool) {
		for item, err := range s.list(ctx, "", true) {
			if err != nil {
				yield(ingest.Object{}, err)
				return
			}
			if object, ours := object(item); ours && !yield(object, nil) {
				return
			}
		}
	}
}

func object(item *container.BlobItem) (ingest.Object, bool) {
	there := &present{metadata: item.Metadata}
	object := ingest.Object{
		Name:   *item.Name,
		Tag:    plainTag(item.Properties.ETag),
		Hidden: there.metadata.get(metaHidden) != "",
	}
	p, ours := parseContent(object.Name)
	object.Digest = p.Digest
	if !ours {
		if _, ours = parsePosition(object.Name); ours {
			object.Digest = there.digest()
			ours = !object.Digest.IsZero()
		}
	}
	if n := item.Properties.ContentLength; n != nil {
		object.Bytes = *n
	}
	if at := item.Properties.LastModified; at != nil {
		object.Modified = at.UTC()
	}
	return object, ours && !object.Modified.IsZero() && object.Tag != ""
}
