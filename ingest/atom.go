package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"
)

// FileAtom is a row of Atoms that stands for a whole file, with where the file's bytes are: at a path (Locator), in the
// row (Atoms.Payload), or in a store. Other programs write such rows too, and what they say may be wrong.
type FileAtom struct {
	ID         int64
	Digest     Digest // ContentHash
	Modality   string
	Subtype    string
	SourceType string
	SourceURI  string
	Metadata   json.RawMessage
	Locator    string // PayloadLocator; empty for NULL
	Bytes      int64  // Payload's size where InRow is set, else BlobSizeBytes or ByteSize; 0 if the row does not say
	InRow      bool   // Payload is not NULL
	Address    Address
	// InSegments says that a file of a complete model refers to the atom, and its segments have the bytes.
	InSegments bool
	Created    time.Time // CreatedAt
}

// Trusted reports whether the digest is what a name claims, by the row's Metadata: the file was registered unread.
func (a FileAtom) Trusted() bool {
	var said struct {
		Computed *bool `json:"digest_computed"`
	}
	err := json.Unmarshal(a.Metadata, &said) // another program's may be anything
	return err == nil && said.Computed != nil && !*said.Computed
}

// Atoms is what a catalogue knows of files that are stored whole.
type Atoms interface {
	// FileAtoms yields the atoms with a locator, a payload or an address, by ID.
	FileAtoms(ctx context.Context) iter.Seq2[FileAtom, error]
	// FileAtom returns one; ErrNotFound, wrapped, if there is none.
	FileAtom(ctx context.Context, id int64) (FileAtom, error)
	// FileAtomWithDigest returns the atom with this ContentHash, which may be one of a segment; ErrNotFound, wrapped,
	// if there is none.
	FileAtomWithDigest(ctx context.Context, digest Digest) (FileAtom, error)
	// MaxAtomPayload is the size in bytes of the largest payload that a row of Atoms takes; 0 if the table has no
	// column for one. streamed says that PlaceAtom writes a payload as a file; else it is in memory meanwhile.
	MaxAtomPayload() (bytes int64, streamed bool)
	// ReadAtom fills into with the bytes of the atom's payload in its row from offset on. A payload that is shorter is
	// a *SizeError, and a row without one is ErrNoPayload, wrapped.
	ReadAtom(ctx context.Context, atom FileAtom, offset int64, into []byte) error
	// PlaceAtom notes where the bytes of a file atom are now. It changes the row only if Digest, Locator, payload and
	// address are still those of atom, and returns false otherwise. A payload or an address that the row has is never
	// replaced.
	//
	// If place.Digest is not atom.Digest, it corrects ContentHash in the same transaction. If another atom has
	// place.Digest, the two become one, which is returned: the one that more rows refer to, with what only the other
	// one knew. Every foreign key to Atoms then refers to it. A *AtomClashError says why they cannot, and nothing has
	// changed.
	PlaceAtom(ctx context.Context, lease Lease, atom FileAtom, place AtomPlace) (FileAtom, bool, error)
	// ClearLocator sets PayloadLocator to NULL where the row has a payload or an address and is still as atom says. A
	// payload in the row is hashed once more by the server, and must have the digest.
	ClearLocator(ctx context.Context, lease Lease, atom FileAtom) (bool, error)
}

// AtomPlace is a new place of a file atom's bytes: an address in a store, or a payload for the row; neither if the file
// is in segments, or only its digest is to be corrected.
type AtomPlace struct {
	Digest  Digest // of the bytes, computed from them
	Bytes   int64
	Address Address
	// Payload is Bytes bytes for the row. PlaceAtom reads them once, or once for each attempt where it streams them, and
	// refuses with a *MismatchError what does not have Digest.
	Payload io.ReaderAt
}

// AtomClashError says why two atoms of the same content cannot become one.
type AtomClashError struct {
	Atom, Other int64
	Reason      string
}

func (e *AtomClashError) Error() string {
	return fmt.Sprintf("atoms %d and %d have the same content, and cannot become one: %s", e.Atom, e.Other, e.Reason)
}

// FileStore is a store that keeps whole files beside the payloads of segments.
type FileStore interface {
	Store
	// PutFile stores the first size bytes of file, whose digest it is, under a name that no other content has, and
	// reads it once. After an error or a kill, putting again continues where the driver can. nil means that the file is
	// durable. Get, with the returned address, reads it.
	PutFile(ctx context.Context, name string, digest Digest, file io.ReaderAt, size int64) (Address, error)
}
