package ingest

import (
	"context"
	"io"
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
	Sweep(ctx context.Context) iter.Seq2[Object, error]
	// Remove deletes one of them. One that is gone already is success. One of which the store can tell that it was
	// written again since Sweep saw it is left, and the error is ErrModified, wrapped.
	Remove(ctx context.Context, stray Object) error
}

// Announcer is a store in which others may come upon a payload, and rely on it, while gc is about to remove it. Without
// more, gc could ask who refers to the store, then another catalogue could claim it, find the payload there and record
// it, and then gc would remove it. So gc announces itself first:
//
//   - gc announces, lists what there is, asks for the claims, and then removes what it has listed: only what was written
//     before the announcement, and only if it is still the same write.
//   - Whoever claims learns of an announcement, and from then on relies only on what was written after it: anything older
//     is put again, which is another write.
//
// A claim before gc has asked for the claims stops gc. A later one sees the announcement, and then no write is both
// relied on and removed, however long either of the two sleeps between its steps. An announcement that a killed gc has
// left costs writes until the next gc takes it back, or for two days: a gc removes nothing a day after it has announced itself, and
// so nobody has to heed an announcement that is older. The same goes for a gc that has lost its lease without
// knowing, and the next run of its own catalogue; but not if it sleeps in the midst of a Remove until a second gc of that
// catalogue, which spares what it does not, has run to its end and a run after that has begun.
type Announcer interface {
	// Announce makes known, durably, that gc of this catalogue is about to remove payloads, and returns the store's own
	// time of that: what was not written before is not to be removed.
	Announce(ctx context.Context, catalog string) (since time.Time, err error)
	// Withdraw takes the announcement of that time back, once each Remove has been answered. One that is gone, or that a
	// later gc has put in its place, is success, and the later one stays.
	Withdraw(ctx context.Context, catalog string, since time.Time) error
}

// FilePutter is a store that takes a whole file as one payload, without holding all of it.
type FilePutter interface {
	// PutFile is Put for the first size bytes of file, whose digest it is. It tries its requests again by itself, and goes
	// on where an attempt that was broken off, by a kill too, has come to. A file that turns out to have another digest is
	// a *MismatchError, and nothing is stored.
	PutFile(ctx context.Context, digest Digest, file io.ReaderAt, size int64) (Address, error)
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
	// there; a *RewrittenError that all agrees but the ETag; any other error says what differs.
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
type Object struct {
	Digest   Digest // zero for the remains of an interrupted write
	Name     string // the store's own name for it
	Bytes    int64
	Modified time.Time
	Tag      string // tells this write from any other, in stores that know
}
