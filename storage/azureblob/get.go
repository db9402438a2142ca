package azureblob

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// Get reads a payload back; see ingest.Store. One that does not hold exactly address.Bytes is a *SizeError.
func (s *Store) Get(ctx context.Context, digest ingest.Digest, address ingest.Address, buffer []byte) ([]byte, error) {
	name, err := nameAt(digest, address)
	if err != nil {
		return nil, err
	}
	answer, err := s.container.NewBlobClient(name).DownloadStream(ctx, nil)
	if err != nil {
		return nil, asMissing(s.failed(ctx, "read", name, err))
	}
	defer answer.Body.Close()
	if n := answer.ContentLength; n != nil && *n != address.Bytes {
		return nil, &SizeError{URL: s.urlOf(name), Want: address.Bytes, Got: *n}
	}
	buffer = slices.Grow(buffer[:0], int(address.Bytes))[:address.Bytes]
	n, err := io.ReadFull(answer.Body, buffer)
	if err == nil {
		// Without a length in the answer there may be more; and a connection is used again only after its end was seen.
		var more int
		if more, err = answer.Body.Read(make([]byte, 1)); more > 0 {
			return nil, &SizeError{URL: s.urlOf(name), Want: address.Bytes, Got: address.Bytes + 1}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err == io.EOF && answer.ContentLength == nil {
		return nil, &SizeError{URL: s.urlOf(name), Want: address.Bytes, Got: int64(n)}
	}
	if err != nil {
		return nil, s.failed(ctx, "read", name, err)
	}
	return buffer, nil
}
