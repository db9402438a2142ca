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

// lookFirst is the size from which Put asks whether the blob is there before it sends the payload.
// The question costs a round trip, which other workers fill, and a twelfth of the price of a write;
// a payload that is sent to be refused costs the line its whole size. Smaller ones are no longer
// than the question.
const lookFirst = 64 << 10

// maxContests is how often Put looks again when somebody else writes the same blob at the same
// time.
const maxContests = 4

// upload is one payload on its way to one blob.
type upload struct {
	name     string
	digest   ingest.Digest
	payload  []byte
	crc      uint64
	metadata metadata
	// mayRely, if not nil, is asked before a blob that is there is relied on, or written over.
	mayRely  func(*present) error
	readable bool // in the account's own tier: it is read at every start
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

// crcText is a CRC-64/NVME as the service writes it: eight bytes, the lowest first, in base64.
func crcText(crc uint64) string {
	return base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, crc))
}

// Put stores payload under its digest or, in the position layout, under the numbers of its row; see
// ingest.Store. There, another payload may have the name, of a run that was cut off before its row:
// it is written over, but not if another catalogue put it there.
func (s *Store) Put(ctx context.Context, key ingest.Key, payload []byte) (ingest.Address, error) {
	u := newUpload(payloadName(key.Digest), key.Digest, payload, metadata{})
	if s.layout == ByPosition {
		u = newUpload(positionName(key), key.Digest, payload, positionMetadata(key).with(metaCatalog, s.ownedBy()))
		u.mayRely = s.isOurs
	}
	return tried(ctx, s, func() (ingest.Address, error) { return s.put(ctx, u) })
}

const onlyOne = "catalogues count their models alike, so in the position layout each needs a container of its own"

// isOurs refuses to rely on what this catalogue has not put there, and to write over it.
func (s *Store) isOurs(there *present) error {
	switch owner := there.metadata.get(metaCatalog); owner {
	case s.ownedBy():
		return nil
	case "":
		return fmt.Errorf("%s was not put there by this catalogue: %s", there.URI, onlyOne)
	default:
		return fmt.Errorf(
			"%s holds a payload of the catalogue %s: %s",
			there.URI,
			ingest.Printable(unescape(owner)),
			onlyOne,
		)
	}
}

// Replace stores a payload again at address; see ingest.Store. What the blob's metadata says of the
// row is kept.
func (s *Store) Replace(
	ctx context.Context,
	digest ingest.Digest,
	address ingest.Address,
	payload []byte,
) (ingest.Address, error) {
	name, err := nameAt(digest, address)
	if err != nil {
		return ingest.Address{}, err
	}
	return tried(ctx, s, func() (ingest.Address, error) {
		for contest := 1; ; contest++ {
			address, err := s.replace(ctx, name, digest, payload)
			if !isTaken(err) || contest == maxContests {
				return address, err
			}
		}
	})
}

func (s *Store) replace(
	ctx context.Context,
	name string,
	digest ingest.Digest,
	payload []byte,
) (ingest.Address, error) {
	there, err := s.look(ctx, name)
	if err != nil {
		return ingest.Address{}, err
	}
	m := metadata{}
	if there != nil {
		m = there.metadata.renamed().with(metaHidden, "")
	}
	if row, ok := parsePosition(name); ok {
		switch m.get(metaCatalog) {
		case "": // another program wrote over ours
			m = positionMetadata(row).with(metaCatalog, s.ownedBy())
		case s.ownedBy():
		default:
			return ingest.Address{}, s.isOurs(there)
		}
	}
	return s.send(ctx, newUpload(name, digest, payload, m), whileStill(there))
}

// renamed spells the names that we know as we write them: in an answer they are as HTTP spells
// headers.
func (m metadata) renamed() metadata {
	if m == nil {
		return metadata{}
	}
	for _, name := range []string{
		metaModel, metaLayer, metaOrdinal, metaType, metaDigest, metaCRC, metaCatalog, metaHidden,
	} {
		m.with(name, m.get(name))
	}
	return m
}

// put writes a blob unless it is there and right. One that is there and wrong, as its size or its
// metadata say, or that a Delete has taken out of use, is written over, but only while it is still
// the one that was looked at.
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
				// It is taken and not there: blocks that nobody committed lie under the name, which
				// some services count as a blob. What another writer may put at this moment is the
				// same payload.
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

// whileStill is the condition that nobody has written since somebody looked.
func whileStill(there *present) *blob.ModifiedAccessConditions {
	if there == nil {
		return ifAbsent()
	}
	return &blob.ModifiedAccessConditions{IfMatch: to.Ptr(there.tag)}
}

func ifAbsent() *blob.ModifiedAccessConditions {
	return &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}
}

// isTaken reports that a write lost against another one.
func isTaken(err error) bool {
	return refused(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet, bloberror.TargetConditionNotMet)
}

// send is one Put Blob, and a second one if the container had to be made for it. Where the service
// says that it received other bytes, what it made of them is written over: a later Put
// would take it for right.
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

// unsend removes what the service made of other bytes than were sent, if it is known which blob
// that is: another may lie there by now.
func (s *Store) unsend(ctx context.Context, name string, still *blob.ModifiedAccessConditions) error {
	if still == nil {
		return nil
	}
	_, err := s.container.NewBlobClient(name).
		Delete(ctx, &blob.DeleteOptions{AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: still}})
	if err == nil {
		return nil
	}
	if err = s.failed(ctx, "remove", name, err); isMissing(err) || isTaken(err) {
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

// otherBytesError says that the service received other bytes, and made a blob of them.
type otherBytesError struct {
	error
	still *blob.ModifiedAccessConditions // that it is that blob; nil if the service did not say which
}

// Unwrap returns what is known of the bytes.
func (e *otherBytesError) Unwrap() error { return e.error }

// mayMakeContainer reports whether a write failed for want of the container, and it may be made.
// Once it was there, it is not made again: with it went payloads, and the record of its owner.
func (s *Store) mayMakeContainer(err error) bool {
	return refused(err, bloberror.ContainerNotFound) && s.owner.Load() == nil
}

// makeContainer makes the container, private. Another process may do so at the same time.
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

// tried is storage.Do for a request that has a result.
func tried[T any](ctx context.Context, s *Store, request func() (T, error)) (result T, err error) {
	err = storage.Do(ctx, s.policy, func() error {
		result, err = request()
		return err
	})
	return result, err
}

// received compares the checksum that the service says it has received with the one that was sent.
func (s *Store) received(act, name string, got []byte, sent uint64) error {
	if len(got) == 0 || base64.StdEncoding.EncodeToString(got) == crcText(sent) {
		return nil
	}
	return &Error{
		Act:       act,
		URL:       s.urlOf(name),
		transient: true,
		cause:     fmt.Errorf("the service received other bytes: their CRC64 is %x", got),
	}
}
