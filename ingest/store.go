package ingest

import (
	"context"
	"iter"
	"time"
)

// Store keeps payloads by their digest: a local folder, a container of blobs.
type Store interface {
	// Put stores payload, whose digest it is, and returns where it lies. nil
	// means that the payload is durable and that others can read it. Never is a
	// part of a payload seen under its digest. A payload that is there already is
	// success, and costs no second write. Two callers may put the same digest at
	// once. After an error, putting again is right, whether or not the bytes had
	// landed. payload is not kept or changed after the return.
	Put(ctx context.Context, digest Digest, payload []byte) (Address, error)
	// Get reads the payload at address into buffer, which is grown if it must
	// be, and returns it. A payload that is not there is ErrNoPayload, wrapped.
	// Get does not check the digest: whoever reads a payload hashes it.
	Get(ctx context.Context, digest Digest, address Address, buffer []byte) ([]byte, error)
	// Replace stores payload as Put does, but writes it even where something lies
	// under the digest already. It is for payloads that were found damaged.
	Replace(ctx context.Context, digest Digest, payload []byte) (Address, error)
}

// Sweeper is what gc asks of a store.
type Sweeper interface {
	// Sweep yields what lies in the store, in no order: payloads, and what
	// interrupted writes have left behind (a zero Digest).
	Sweep(ctx context.Context) iter.Seq2[Stray, error]
	// Remove deletes one of them. One that is gone already is success.
	Remove(ctx context.Context, stray Stray) error
}

// Claimer is a store that remembers which catalogues refer to it, so that no
// catalogue sweeps away the payloads of another.
type Claimer interface {
	// Claim records that the catalogue with this identity refers to the store,
	// durably, and returns the identities of all that do, this one included.
	Claim(ctx context.Context, catalog string) ([]string, error)
	// Claims returns the identities of all catalogues that refer to the store, and writes nothing.
	Claims(ctx context.Context) ([]string, error)
}

// Placer is a store whose layout follows the models and not the digests: it is told
// where a payload belongs. Its promises are those of Put and Replace.
type Placer interface {
	// PutAt is Put for the payload of one row.
	PutAt(ctx context.Context, position Position, digest Digest, payload []byte) (Address, error)
	// ReplaceAt is Replace for a payload that lies at address.
	ReplaceAt(ctx context.Context, address Address, digest Digest, payload []byte) (Address, error)
}

// Position says which row a payload belongs to.
type Position struct {
	Model   ModelID
	File    FileID
	Layer   LayerID // 0 for bytes that belong to no tensor
	Ordinal int
	Type    string // of the tensor's elements; empty for bytes that belong to no tensor
}

// Prober is a store that can tell without reading a payload back whether it is still
// what was put.
type Prober interface {
	// Probe compares what lies at address with the digest, size, ETag and checksum that the store
	// keeps beside it. nil means that they agree; ErrNoPayload, wrapped, that nothing is
	// there; any other error says what differs.
	Probe(ctx context.Context, digest Digest, address Address) error
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

// Stray is something that lies in a store.
type Stray struct {
	Digest   Digest // zero for the remains of an interrupted write
	Name     string // the store's own name for it
	Bytes    int64
	Modified time.Time
}
