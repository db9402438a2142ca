package azureblob

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/minio/crc64nvme"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// lookFirst is the size in bytes from which Put checks for the blob before it sends the payload.
// The check costs a round trip, during which other workers send, and a twelfth of the price of a
// write. Without it, a payload that is present is sent in vain. Smaller payloads are no larger than
// the check.
const lookFirst = 64 << 10

// maxContests bounds the attempts when others write the same blob at the same time.
const maxContests = 4

// upload is one payload for one blob.
type upload struct {
	name     string
	digest   ingest.Digest // of payload
	payload  []byte
	crc      uint64
	metadata metadata
	// mayRely, if not nil, must accept an existing blob before Put relies on it or overwrites it.
	mayRely  func(*present) error
	readable bool // stored in the account's own tier, because it is read at every start
}

func newUpload(name string, digest ingest.Digest, payload []byte, m metadata) *upload {
	crc := crc64nvme.Checksum(payload)
	return &upload{
		name:     name,
		digest:   digest,
		payload:  payload,
		crc:      crc,
		metadata: m.with(metaDigest, digest.String()).with(metaCRC, crcText(crc)),
	}
}

// crcText is a CRC-64/NVME in the service's form: eight bytes, least significant first, in base64.
func crcText(crc uint64) string {
	return base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, crc))
}

// Put stores payload under its digest or, in the position layout, under the numbers of its row; see
// ingest.Store. In the position layout, it overwrites another payload of that name, left by an
// interrupted run, but not another catalogue's. Other programs read these blobs as they are, so Put
// returns errors.ErrUnsupported, wrapped, for an encoded payload.
func (s *Store) Put(ctx context.Context, key ingest.Key, payload []byte) (ingest.Address, error) {
	var u *upload
	switch p := storage.PayloadOf(key.Digest, key.Encoding); {
	case s.layout == ByContent:
		u = newUpload(p.Name(), p.Content, payload, metadata{})
	case key.Codec != "":
		return ingest.Address{}, fmt.Errorf("store an encoded payload by position: %w", errors.ErrUnsupported)
	default:
		u = newUpload(positionName(key), key.Digest, payload, positionMetadata(key).with(metaCatalog, s.ownedBy()))
		u.mayRely = s.isOurs
	}
	address, err := tried(ctx, s, func() (ingest.Address, error) { return s.put(ctx, u) })
	if err != nil {
		return ingest.Address{}, err
	}
	address.Encoding = key.Encoding
	return address, nil
}

// Reuse looks at the blob by content; see ingest.Store. A hidden blob is not present: Put writes it
// again. In the position layout nothing is, because each row needs a blob of its own.
func (s *Store) Reuse(
	ctx context.Context,
	digest ingest.Digest,
	address ingest.Address,
) (ingest.Address, bool, error) {
	p := storage.PayloadOf(digest, address.Encoding)
	if s.layout == ByPosition || address.URI != s.urlOf(p.Name()) {
		return ingest.Address{}, false, ctx.Err()
	}
	there, err := tried(ctx, s, func() (*present, error) { return s.look(ctx, p.Name()) })
	if err != nil || !there.holds(p.Content, address.Bytes) {
		return ingest.Address{}, false, err
	}
	there.Encoding = address.Encoding
	return there.Address, true, nil
}

const onlyOne = "catalogues number their models alike, so in the position layout each needs its own container"

// isOurs returns an error unless this catalogue has written the blob.
func (s *Store) isOurs(there *present) error {
	switch owner := there.metadata.get(metaCatalog); owner {
	case s.ownedBy():
		return nil
	case "":
		return fmt.Errorf("%s was not written by this catalogue: %s", there.URI, onlyOne)
	default:
		return fmt.Errorf("%s is a payload of the catalogue %s: %s", there.URI, ingest.Printable(unescape(owner)),
			onlyOne)
	}
}

// put writes a blob unless it exists and is right. It overwrites a blob that is wrong, by its size
// or metadata, or hidden, if it was not modified since it was checked.
func (s *Store) put(ctx context.Context, u *upload) (ingest.Address, error) {
	condition := ifAbsent()
	look := len(u.payload) >= lookFirst
	for contest := 1; ; contest++ {
		if look {
			there, err := s.look(ctx, u.name)
			if err != nil {
				return ingest.Address{}, err
			}
			if there != nil && u.mayRely != nil {
				if err := u.mayRely(there); err != nil {
					return ingest.Address{}, err
				}
			}
			if there.holds(u.digest, int64(len(u.payload))) {
				return there.Address, nil
			}
			condition = whileStill(there)
			if there == nil && contest > 2 && u.mayRely == nil {
				// It exists for a write but not for a HEAD: another program left uncommitted blocks
				// under the name, which some services count as a blob. Another writer would write
				// the same payload.
				condition = nil
			}
		}
		address, err := s.send(ctx, u, condition)
		if err == nil || !isTaken(err) || contest == maxContests {
			return address, err
		}
		look = true
	}
}

// whileStill is the condition that the blob was not modified since it was read.
func whileStill(there *present) *blob.ModifiedAccessConditions {
	if there == nil {
		return ifAbsent()
	}
	return &blob.ModifiedAccessConditions{IfMatch: to.Ptr(there.tag)}
}

func ifAbsent() *blob.ModifiedAccessConditions {
	return &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}
}

// isTaken reports whether a condition failed: another writer was first.
func isTaken(err error) bool {
	return refused(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet, bloberror.TargetConditionNotMet)
}

// send writes a blob, and creates the container first if necessary. If the service received other
// bytes, send overwrites the blob: otherwise a later Put would rely on it.
func (s *Store) send(ctx context.Context, u *upload, condition *blob.ModifiedAccessConditions) (ingest.Address, error) {
	for contest := 1; ; contest++ {
		address, err := s.sendOnce(ctx, u, condition)
		var other *otherBytesError
		switch {
		case errors.As(err, &other) && contest < maxContests:
			condition = other.still
		case errors.As(err, &other):
			return ingest.Address{}, errors.Join(err, s.unsend(ctx, u.name, other.still))
		case s.mayMakeContainer(err) && contest < maxContests:
			if err := s.makeContainer(ctx); err != nil {
				return ingest.Address{}, err
			}
		default:
			return address, err
		}
	}
}

// unsend deletes a blob of other bytes than were sent, if its ETag is known: otherwise it may be
// another writer's.
func (s *Store) unsend(ctx context.Context, name string, still *blob.ModifiedAccessConditions) error {
	if still == nil {
		return nil
	}
	_, err := s.container.NewBlobClient(name).
		Delete(ctx, &blob.DeleteOptions{AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: still}})
	if err == nil {
		return nil
	}
	if err = s.failed(ctx, "delete", name, err); isMissing(err) || isTaken(err) {
		return nil
	}
	return err
}

func (s *Store) sendOnce(
	ctx context.Context,
	u *upload,
	condition *blob.ModifiedAccessConditions,
) (ingest.Address, error) {
	tier := s.tier
	if u.readable {
		tier = nil
	}
	answer, err := s.container.NewBlockBlobClient(u.name).
		Upload(ctx, streaming.NopCloser(bytes.NewReader(u.payload)), &blockblob.UploadOptions{
			Metadata:                u.metadata,
			Tier:                    tier,
			HTTPHeaders:             &blob.HTTPHeaders{BlobContentType: to.Ptr(contentType)},
			TransactionalValidation: blob.TransferValidationTypeCRC64(u.crc),
			AccessConditions:        &blob.AccessConditions{ModifiedAccessConditions: condition},
		})
	if err != nil {
		return ingest.Address{}, s.failed(ctx, "store", u.name, err)
	}
	if err := s.received("store", u.name, answer.ContentCRC64, u.crc); err != nil {
		other := &otherBytesError{error: err}
		if answer.ETag != nil {
			other.still = &blob.ModifiedAccessConditions{IfMatch: answer.ETag}
		}
		return ingest.Address{}, other
	}
	return s.address(u.name, int64(len(u.payload)), answer.ETag, answer.LastModified), nil
}

// otherBytesError is returned if the service received other bytes and stored them.
type otherBytesError struct {
	error
	still *blob.ModifiedAccessConditions // identifies that blob; nil if unknown
}

// Unwrap returns the cause.
func (e *otherBytesError) Unwrap() error { return e.error }

// mayMakeContainer reports whether a write failed because the container is missing, and may create
// it. A container that had an owner is not created again: its payloads are lost.
func (s *Store) mayMakeContainer(err error) bool {
	return refused(err, bloberror.ContainerNotFound) && s.owner.Load() == nil
}

// makeContainer creates the container, private. Another process may do so at the same time.
func (s *Store) makeContainer(ctx context.Context) error {
	_, err := s.container.Create(ctx, &container.CreateOptions{})
	if err == nil {
		return nil
	}
	err = s.failed(ctx, "create container", "", err)
	var e *Error
	switch {
	case refused(err, bloberror.ContainerAlreadyExists):
		return nil
	case errors.As(err, &e) && e.Status == 403:
		e.Hint = "the container does not exist, and the credential may not create it: " +
			"create it, private, or use another credential"
	}
	return err
}
