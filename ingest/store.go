package ingest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Store keeps payloads: a local folder, a container of blobs. It belongs to one catalogue. A driver
// retries transient errors and limits its own rate; callers do neither.
//
// Package gc describes the protocol between Put, which relies on payloads that exist, and Delete.
type Store interface {
	// Owner returns the identity of the catalogue that owns the store, "" if there is none. If
	// claim is not empty and there is no owner, it first records claim as the owner, durably and
	// atomically. If several catalogues used the store before stores had owners, the error is a
	// *SharedError.
	Owner(ctx context.Context, claim string) (string, error)
	// Put stores payload unless it is already present. Its SHA-256 is that of key.Encoding if this has
	// a codec, otherwise key.Digest. After a nil error, the payload is durable and readable by others. A
	// partial payload is never visible under its digest. Payloads of one digest with different
	// encodings are different payloads. Concurrent Puts of the same payload are safe. After an error,
	// Put may be repeated, whether or not the payload was stored. Put does not keep or change payload.
	// The address has key.Encoding.
	Put(ctx context.Context, key Key, payload []byte) (Address, error)
	// Reuse reports whether the payload of digest at address is present, as far as its size and
	// metadata tell, under the name that Put gives it by content. If so, it is durable and readable, and
	// a row may be recorded for it, as after Put. It returns the payload's address as it is now.
	Reuse(ctx context.Context, digest Digest, address Address) (now Address, present bool, err error)
	// Get reads the payload at address, as it is stored, from offset on, into into. If the payload is
	// shorter, or longer although offset+len(into) is address.Bytes, the error is a *SizeError; if it
	// does not exist, ErrNoPayload, wrapped. Get does not check the digest; the caller does.
	Get(ctx context.Context, digest Digest, address Address, offset int64, into []byte) error
	// Stat compares the store's metadata of the payload at address with digest and address, without
	// reading the payload. attested is true if the store attests the content: it has kept the SHA-256
	// of the payload and the ETag since Put. The error is ErrNoPayload, wrapped, if nothing is there; a
	// *RewrittenError if only the ETag differs; ErrUnreachable, wrapped, if the store cannot tell;
	// otherwise what differs.
	Stat(ctx context.Context, digest Digest, address Address) (attested bool, err error)
	// Holds reports whether address is one that this store gives the payload of digest, so that its URI,
	// which other programs read, and its Name lead to the bytes that Get reads. It does not look at a
	// payload whose URI names the store. If the URI does not, it reports whether the payload exists.
	Holds(ctx context.Context, digest Digest, address Address) (bool, error)
	// Replace writes payload at address, over anything that is there. It repairs payloads that are
	// damaged or missing. The payload has the encoding of address.
	Replace(ctx context.Context, digest Digest, address Address, payload []byte) (Address, error)
	// List yields the objects of the store in no order: payloads, and leftovers of interrupted
	// writes and deletes. It ends at the first error.
	List(ctx context.Context) iter.Seq2[Object, error]
	// Delete hides the objects, so that later Puts do not rely on them, and calls confirm. If
	// confirm returns nil, it deletes those that were not overwritten since List. Otherwise it
	// restores all, also those that an interrupted Delete left hidden, and returns confirm's error.
	//
	// failed is parallel to objects: nil for one that was deleted or missing, ErrModified, wrapped,
	// for one that was overwritten since List.
	Delete(ctx context.Context, objects []Object, confirm func(context.Context) error) (failed []error, err error)
}

// errRestore makes Store.Delete restore objects.
var errRestore = errors.New("rows need them")

// Restore makes objects visible that an interrupted Delete left hidden.
func Restore(ctx context.Context, store Store, hidden []Object) error {
	if len(hidden) == 0 {
		return nil
	}
	_, err := store.Delete(ctx, hidden, func(context.Context) error { return errRestore })
	if errors.Is(err, errRestore) {
		return nil
	}
	return err
}

// Key identifies a payload for Put. A store by content uses the digest only. One by position names
// the payload after its row.
type Key struct {
	Digest  Digest
	Model   ModelID
	File    FileID
	Layer   LayerID // 0 for bytes outside all tensors
	Ordinal int
	Type    string // of the tensor's elements; empty for bytes outside all tensors
	Encoding
}

// Encoding describes how a payload is encoded. The zero value is that of a payload that is the bytes
// themselves.
type Encoding struct {
	Codec string // column Codec; empty if the payload is the bytes themselves
	// Stored is the SHA-256 of the payload as it is stored, column StoredHash; zero without Codec. All
	// other digests are those of the original bytes.
	Stored Digest
}

// Content returns the SHA-256 of a payload as it is stored. digest is that of its original bytes.
func (e Encoding) Content(digest Digest) Digest {
	if e.Codec == "" {
		return digest
	}
	return e.Stored
}

// Address is where a store keeps a payload, as in the catalogue's columns. A store that finds
// payloads by digest sets only URI and Bytes.
type Address struct {
	URI       string // BlobUri; empty for a payload in the catalogue's rows
	Container string // BlobContainer
	Name      string // BlobName
	ETag      string // BlobETag
	Bytes     int64  // BlobSizeBytes, of the payload as it is stored
	Modified  time.Time
	Encoding
}

// Object is one object in a store.
type Object struct {
	Digest   Digest // of the original bytes; zero for the leftovers of an interrupted write
	Name     string // the store's own name
	Bytes    int64
	Modified time.Time
	Tag      string // changes with each write; empty if the store has none
	Hidden   bool   // left hidden by an interrupted Delete
}

// SizeError says that a payload exists but has the wrong size: it is damaged, not missing.
type SizeError struct {
	Where     string // path, URL or row
	Want, Got int64
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s is damaged: it has %d bytes, want %d", e.Where, e.Got, e.Want)
}
