package azureblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// Get reads a part of a payload; see ingest.Store. It also reads hidden payloads.
func (s *Store) Get(
	ctx context.Context,
	digest ingest.Digest,
	address ingest.Address,
	offset int64,
	into []byte,
) error {
	name, err := nameAt(digest, address)
	if err != nil {
		return err
	}
	if err := storage.CheckPart(offset, len(into), address.Bytes); err != nil {
		return fmt.Errorf("read %s: %w", s.urlOf(name), err)
	}
	part := blob.HTTPRange{Offset: offset, Count: int64(len(into))}
	switch whole := offset == 0 && part.Count == address.Bytes; {
	case whole:
		part = blob.HTTPRange{}
	case part.Count == 0:
		return nil
	}
	_, err = tried(ctx, s, func() (struct{}, error) { return struct{}{}, s.get(ctx, name, address.Bytes, part, into) })
	return err
}

func (s *Store) get(ctx context.Context, name string, bytes int64, part blob.HTTPRange, into []byte) error {
	answer, err := s.container.NewBlobClient(name).DownloadStream(ctx, &blob.DownloadStreamOptions{Range: part})
	if err != nil {
		err = asMissing(s.failed(ctx, "read", name, err))
		var e *Error
		if errors.As(err, &e) && e.Status == http.StatusRequestedRangeNotSatisfiable {
			return s.sizeNow(ctx, name, bytes, err)
		}
		return err
	}
	defer answer.Body.Close()
	size := answer.ContentLength
	if part != (blob.HTTPRange{}) {
		size = total(answer.ContentRange)
	}
	if size != nil && *size != bytes {
		return &ingest.SizeError{Where: s.urlOf(name), Want: bytes, Got: *size}
	}
	n, err := io.ReadFull(answer.Body, into)
	if err == nil {
		// Without a length in the answer there may be more; and a connection is reused only after
		// its end was read.
		var more int
		if more, err = answer.Body.Read(make([]byte, 1)); more > 0 {
			return &ingest.SizeError{Where: s.urlOf(name), Want: bytes, Got: bytes + 1}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err == io.EOF && size == nil {
		return &ingest.SizeError{Where: s.urlOf(name), Want: bytes, Got: part.Offset + int64(n)}
	}
	if err != nil {
		return s.failed(ctx, "read", name, err)
	}
	return nil
}

// sizeNow returns a SizeError if the blob's size explains why the part could not be read.
func (s *Store) sizeNow(ctx context.Context, name string, bytes int64, refusal error) error {
	there, err := s.head(ctx, name)
	switch {
	case err != nil:
		return asMissing(err)
	case there.Bytes != bytes:
		return &ingest.SizeError{Where: there.URI, Want: bytes, Got: there.Bytes}
	}
	return refusal
}

// total parses the total size in "bytes 0-9/100"; nil if it is missing.
func total(contentRange *string) *int64 {
	if contentRange == nil {
		return nil
	}
	_, text, _ := strings.Cut(*contentRange, "/")
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil
	}
	return &size
}
