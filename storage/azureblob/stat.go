package azureblob

import (
	"context"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/hartonomous/ingest/ingest"
)

// present is what the service says of a blob without sending it.
type present struct {
	ingest.Address
	tag      azcore.ETag
	metadata metadata
	crc      string // that the service keeps; empty if it keeps none
}

// look asks for a blob; nil if there is none.
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

// digest is what the blob's metadata says that it holds; zero if it says nothing.
func (p *present) digest() ingest.Digest {
	var d ingest.Digest
	if d.UnmarshalText([]byte(p.metadata.get(metaDigest))) != nil {
		return ingest.Digest{}
	}
	return d
}

// holds reports whether the blob is there and, by what it says of itself, right and not taken out
// of use.
func (p *present) holds(digest ingest.Digest, bytes int64) bool {
	return p != nil && p.Bytes == bytes && p.digest() == digest && p.crcAgrees() && p.metadata.get(metaHidden) == ""
}

func (p *present) crcAgrees() bool {
	kept := p.metadata.get(metaCRC)
	return p.crc == "" || kept == "" || p.crc == kept
}

// ChangedError says that a blob is no longer what was put, as far as can be told without reading
// it.
type ChangedError struct {
	URL  string
	What string // what differs
}

func (e *ChangedError) Error() string { return e.URL + ": " + e.What }

// Stat compares a blob with its row without reading it; see ingest.Store. An ETag that agrees says
// that nothing has written to the blob or its metadata since it was put, when the service checked
// its CRC-64; so it is looked at last: the other differences say more. It says nothing of bytes
// that the service itself has lost. The service documents no checksum among a blob's properties but
// the MD5 that a client has given it, and to compute that would take longer than the upload; a
// CRC-64 is for the transfer alone. Where an answer has one all the same, it is compared with the
// one in the metadata.
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

// differs says in what the blob is not what was put; nil if it is.
func (p *present) differs(digest ingest.Digest, address ingest.Address) error {
	if p.Bytes != address.Bytes {
		return &ingest.SizeError{Where: p.URI, Want: address.Bytes, Got: p.Bytes}
	}
	changed := &ChangedError{URL: p.URI}
	switch said := p.digest(); {
	case said.IsZero():
		changed.What = "its metadata does not say which SHA-256 it has: another program wrote it"
	case said != digest:
		changed.What = fmt.Sprintf(
			"its metadata says that it holds %s, and %s was stored",
			said.Short(),
			digest.Short(),
		)
	case !p.crcAgrees():
		changed.What = fmt.Sprintf("the service has CRC64 %s for it, and %s was sent", p.crc, p.metadata.get(metaCRC))
	case address.ETag != "" && address.ETag != p.ETag:
		return &ingest.RewrittenError{Was: address.ETag, Now: p.Address}
	default:
		return nil
	}
	return changed
}
