package ingest

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Store keeps payloads: a local folder, a container of blobs. It belongs to one catalogue. A driver
// tries its requests again where an error may pass, and keeps to its own limit of rate: a caller
// does neither.
//
// What holds between Put, which relies on payloads that are there, and Delete, which takes them
// away, is the subject of package gc.
type Store interface {
	// Owner returns the identity of the catalogue that the store belongs to, "" if it has none.
	// With claim not empty and no owner, it first records claim as the owner, durably, on the
	// condition that there is none. A store that several catalogues used before stores had owners
	// is a *SharedError.
	Owner(ctx context.Context, claim string) (string, error)
	// Put stores payload, whose digest is key.Digest, unless it is stored already. nil means that
	// the payload is durable and that others can read it. A part of a payload is never visible
	// under its digest. Two callers may put the same digest at once. After an error, putting again
	// is right, whether or not the bytes had landed. payload is not kept or changed after the
	// return.
	Put(ctx context.Context, key Key, payload []byte) (Address, error)
	// Get fills into with the bytes of the payload at address from offset on. A payload that is
	// shorter is a *SizeError; so is a longer one where offset+len(into) is address.Bytes. A
	// payload that is not there is ErrNoPayload, wrapped. Get does not check the digest: its caller
	// does.
	Get(ctx context.Context, digest Digest, address Address, offset int64, into []byte) error
	// Stat compares what the store knows of the payload at address with digest and address, without
	// reading it. attested is true if the store vouches for the content: it has kept digest and
	// ETag since Put. The error is ErrNoPayload, wrapped, if nothing is there; a *RewrittenError if
	// all agrees but the ETag; ErrUnreachable, wrapped, if the store could not tell; else what
	// differs.
	Stat(ctx context.Context, digest Digest, address Address) (attested bool, err error)
	// Replace writes payload at address even where something is there. It is for payloads that were
	// found damaged or missing.
	Replace(ctx context.Context, digest Digest, address Address, payload []byte) (Address, error)
	// List yields what is in the store, in no order: payloads, and the remains of interrupted
	// writes and deletes. It ends at the first error.
	List(ctx context.Context) iter.Seq2[Object, error]
	// Delete takes each object out of use, so that a Put that comes later does not rely on it. Then
	// it asks confirm. If that returns nil, it deletes them, but only the writes that were listed.
	// Otherwise it puts them back, those that an interrupted Delete has left out of use as well,
	// and returns confirm's error.
	//
	// failed is parallel to objects: nil for one that is deleted or was gone, ErrModified, wrapped,
	// for one that was written again since List.
	Delete(ctx context.Context, objects []Object, confirm func(context.Context) error) (failed []error, err error)
}

// Key is what a payload is put under. A store by content uses the digest alone. One by position
// names the payload by the row that it belongs to.
type Key struct {
	Digest  Digest
	Model   ModelID
	File    FileID
	Layer   LayerID // 0 for bytes that belong to no tensor
	Ordinal int
	Type    string // of the tensor's elements; empty for bytes that belong to no tensor
}

// Address is where a store put a payload, as the columns of the catalogue carry it.
// A store that finds payloads by digest alone fills in URI and Bytes.
type Address struct {
	URI       string // BlobUri; empty for a payload in the catalogue's own rows
	Container string // BlobContainer
	Name      string // BlobName
	ETag      string // BlobETag
	Bytes     int64  // BlobSizeBytes
	Modified  time.Time
}

// Object is one thing in a store.
type Object struct {
	Digest   Digest // zero for the remains of an interrupted write
	Name     string // the store's own name for it
	Bytes    int64
	Modified time.Time
	Tag      string // tells this write from any other, in stores that know
	Hidden   bool   // an interrupted Delete has left it out of use
}

// SizeError says that a payload is there and has the wrong size: it is damaged, not missing.
type SizeError struct {
	Where     string // path or URL
	Want, Got int64
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s is damaged: it holds %d bytes, and %d were stored", e.Where, e.Got, e.Want)
}
