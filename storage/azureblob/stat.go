package azureblob

import (
	"context"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/hartonomous/ingest/ingest"
)

// Holds compares the address's URI with that of the blob that Get reads; see ingest.Store.
func (s *Store) Holds(_ context.Context, digest ingest.Digest, address ingest.Address) (bool, error) {
	name, err := nameAt(digest, address)
	return err == nil && address.URI == s.urlOf(name), nil
}

// present is the state of an existing blob.
type present struct {
	ingest.Address
	tag      azcore.ETag
	metadata metadata
	crc      string // stored by the service; empty if none
}

// look returns the state of a blob; nil if it does not exist.
func (s *Store) look(ctx context.Context, name string) (*present, error) {
	there, err := s.head(ctx, name)
	if isMissing(err) {
		return nil, nil
	}
	return there, err
}

func (s *Store) head(ctx context.Context, name string) (*present, error) {
	var answer *http.Response
	p, err := s.container.NewBlobClient(name).GetProperties(policy.WithCaptureResponse(ctx, &answer), nil)
	if err != nil {
		return nil, s.failed(ctx, "look at", name, err)
	}
	there := &present{metadata: p.Metadata}
	if p.ETag != nil {
		there.tag = *p.ETag
	}
	var bytes int64
	if p.ContentLength != nil {
		bytes = *p.ContentLength
	}
	if answer != nil {
		there.crc = answer.Header.Get("x-ms-content-crc64")
	}
	there.Address = s.address(name, bytes, p.ETag, p.LastModified)
	return there, nil
}

// digest is the digest in the blob's metadata; zero if there is none.
func (p *present) digest() ingest.Digest {
	var d ingest.Digest
	if d.UnmarshalText([]byte(p.metadata.get(metaDigest))) != nil {
		return ingest.Digest{}
	}
	return d
}

// holds reports whether the blob exists, has this size and digest by its metadata, and is not
// hidden.
func (p *present) holds(digest ingest.Digest, bytes int64) bool {
	return p != nil && p.Bytes == bytes && p.digest() == digest && p.crcAgrees() && p.metadata.get(metaHidden) == ""
}

func (p *present) crcAgrees() bool {
	kept := p.metadata.get(metaCRC)
	return p.crc == "" || kept == "" || p.crc == kept
}

// ChangedError is returned for a blob that differs from what was stored, as far as its properties
// tell.
type ChangedError struct {
	URL  string
	What string // what differs
}

func (e *ChangedError) Error() string { return e.URL + ": " + e.What }

// Stat compares a blob's properties with its row; see ingest.Store. If the ETag agrees, nothing has
// written to the blob or its metadata since it was stored, when the service checked its CRC-64. It
// is compared last, because other differences say more. Stat does not detect bytes that the service
// has lost: the only checksum among a blob's documented properties is an MD5 set by a client, which
// takes longer to compute than the upload; a CRC-64 is for the transfer only. If an answer has a
// CRC-64 anyway, it is compared with the one in the metadata.
func (s *Store) Stat(ctx context.Context, digest ingest.Digest, address ingest.Address) (attested bool, err error) {
	name, err := nameAt(digest, address)
	if err != nil {
		return false, err
	}
	there, err := tried(ctx, s, func() (*present, error) { return s.head(ctx, name) })
	if err != nil {
		return false, asMissing(err)
	}
	err = there.differs(digest, address)
	return err == nil, err
}

// differs returns an error that says how the blob differs from what was stored; nil if it does not.
func (p *present) differs(digest ingest.Digest, address ingest.Address) error {
	if p.Bytes != address.Bytes {
		return &ingest.SizeError{Where: p.URI, Want: address.Bytes, Got: p.Bytes}
	}
	changed := &ChangedError{URL: p.URI}
	switch said := p.digest(); {
	case said.IsZero():
		changed.What = "its metadata has no SHA-256: another program wrote it"
	case said != address.Content(digest):
		changed.What = fmt.Sprintf("its metadata says SHA-256 %s, but %s was stored", said.Short(),
			address.Content(digest).Short())
	case !p.crcAgrees():
		changed.What = fmt.Sprintf("its CRC64 is %s, but %s was sent", p.crc, p.metadata.get(metaCRC))
	case address.ETag != "" && address.ETag != p.ETag:
		now := p.Address
		now.Encoding = address.Encoding
		return &ingest.RewrittenError{Was: address.ETag, Now: now}
	default:
		return nil
	}
	return changed
}
