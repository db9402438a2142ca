package azureblob

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

var _ ingest.DescriptionStore = (*Store)(nil)

// PutDescription writes a description as PutFile writes a file, in the account's own tier; see
// ingest.DescriptionStore.
func (s *Store) PutDescription(ctx context.Context, d ingest.Description, content io.ReaderAt) error {
	block, err := blockBytes(d.Bytes, s.block)
	if err != nil {
		return err
	}
	f := &sending{Store: s, name: storage.DescriptionName(d), digest: d.Content, file: content, size: d.Bytes,
		block: block, readable: true}
	_, err = f.send(ctx)
	return err
}

// ReadDescription implements ingest.DescriptionStore.
func (s *Store) ReadDescription(ctx context.Context, d ingest.Description, offset int64, into []byte) error {
	if err := storage.CheckPart(offset, len(into), d.Bytes); err != nil {
		return fmt.Errorf("read %s: %w", s.urlOf(storage.DescriptionName(d)), err)
	}
	part := blob.HTTPRange{Offset: offset, Count: int64(len(into))}
	if part.Count == 0 {
		return nil
	}
	_, err := tried(ctx, s, func() (struct{}, error) {
		return struct{}{}, s.get(ctx, storage.DescriptionName(d), d.Bytes, part, into)
	})
	return err
}

// Descriptions implements ingest.DescriptionStore.
func (s *Store) Descriptions(ctx context.Context) iter.Seq2[ingest.Description, error] {
	return func(yield func(ingest.Description, error) bool) {
		for item, err := range s.list(ctx, storage.DescriptionFolder+"/", false) {
			if err != nil {
				yield(ingest.Description{}, err)
				return
			}
			d, ours := storage.ParseDescription(*item.Name)
			if n := item.Properties.ContentLength; n != nil {
				d.Bytes = *n
			}
			if ours && !yield(d, nil) {
				return
			}
		}
	}
}

// DeleteDescription implements ingest.DescriptionStore.
func (s *Store) DeleteDescription(ctx context.Context, d ingest.Description) error {
	name := storage.DescriptionName(d)
	_, err := tried(ctx, s, func() (struct{}, error) {
		_, err := s.container.NewBlobClient(name).Delete(ctx, nil)
		if err != nil {
			if err = s.failed(ctx, "delete", name, err); isMissing(err) {
				err = nil
			}
		}
		return struct{}{}, err
	})
	return err
}

// AddressOf implements ingest.DescriptionStore.
func (s *Store) AddressOf(digest ingest.Digest, bytes int64, encoding ingest.Encoding) ingest.Address {
	address := s.address(storage.PayloadOf(digest, encoding).Name(), bytes, nil, nil)
	address.Encoding = encoding
	return address
}
