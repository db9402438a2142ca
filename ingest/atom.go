package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"
)

// FileAtom is a row of Atoms for a whole file. The file's bytes are at a path (Locator), in the row
// (Atoms.Payload), or in a store. Other programs write such rows too, and their columns may be
// wrong.
type FileAtom struct {
	ID         int64
	Digest     Digest // ContentHash
	Modality   string
	Subtype    string
	SourceType string
	SourceURI  string
	Metadata   json.RawMessage // nil for NULL, or if it is large
	Locator    string          // PayloadLocator; empty for NULL
	// Bytes is Payload's size if InRow is set, else BlobSizeBytes or ByteSize; 0 if the row does not say.
	Bytes   int64
	InRow   bool // Payload is not NULL
	Address Address
	// InSegments reports whether a complete model has a file with this atom, stored in segments.
	InSegments bool
	// LargeMetadata reports whether Metadata has more than 64 KiB and was not read.
	LargeMetadata bool
	Created       time.Time // CreatedAt
}

// HasCopy reports whether the row has the bytes of the file, or their address.
func (a FileAtom) HasCopy() bool { return a.InRow || a.Address.URI != "" }

// Trusted reports whether the digest is only claimed by the file's name: the file was registered
// without being read, and Metadata says so.
func (a FileAtom) Trusted() bool {
	var said struct {
		Computed *bool `json:"digest_computed"`
	}
	err := json.Unmarshal(a.Metadata, &said) // another program may have written it
	return err == nil && said.Computed != nil && !*said.Computed
}

// Atoms are the rows of a catalogue for files that are stored whole.
type Atoms interface {
	// FileAtoms yields the atoms with a locator, a payload or an address, by ID.
	FileAtoms(ctx context.Context) iter.Seq2[FileAtom, error]
	// FileAtom returns an atom by ID; ErrNotFound, wrapped, if there is none.
	FileAtom(ctx context.Context, id int64) (FileAtom, error)
	// FileAtomWithDigest returns the atom with this ContentHash, which may be that of a segment;
	// ErrNotFound, wrapped, if there is none.
	FileAtomWithDigest(ctx context.Context, digest Digest) (FileAtom, error)
	// MaxAtomPayload returns the size in bytes of the largest payload that a row of Atoms takes; 0 if
	// the table has no column for one. If streamed is false, PlaceAtom holds the payload in memory.
	MaxAtomPayload() (bytes int64, streamed bool)
	// ReadAtom fills into with the bytes of the payload in the atom's row from offset on. A shorter
	// payload is a *SizeError, and a row without one ErrNoPayload, wrapped.
	ReadAtom(ctx context.Context, atom FileAtom, offset int64, into []byte) error
	// PlaceAtom records the place of a file atom's bytes. It changes the row only if Digest, Locator,
	// payload and address are still those of atom, and returns false otherwise. Changes of other
	// columns, such as UpdatedAt, do not matter: another program may make them during a copy of hours.
	// It does not replace a payload or an address.
	//
	// If place.Digest is not atom.Digest, it corrects ContentHash in the same transaction. If another
	// atom has place.Digest, it merges the two, and returns the one that remains: the one with a
	// payload, or else the one that is not of a file in segments, or else the one that another
	// program wrote, or else the one with more references.
	// All foreign keys to Atoms refer to it then. Its empty columns get the values of the other
	// atom, Metadata also the other's keys that it lacks, and IsActive is 1 if either was. If the two
	// cannot be merged, as when their paths differ, nothing changes and the error is a
	// *AtomClashError.
	PlaceAtom(ctx context.Context, lease Lease, atom FileAtom, place AtomPlace) (FileAtom, bool, error)
	// ClearLocator sets PayloadLocator to NULL if the row has a payload or an address and is still as
	// atom says. The server hashes a payload in the row again, and it must have the digest. It
	// compares only the size of a payload that is too large for its hash function.
	ClearLocator(ctx context.Context, lease Lease, atom FileAtom) (bool, error)
	// RestoreLocator undoes PlaceAtom and ClearLocator: it sets PayloadLocator to locator, and payload and
	// address to NULL, if the row is still as atom says. The caller has read the file at locator, and it
	// has atom.Digest.
	RestoreLocator(ctx context.Context, lease Lease, atom FileAtom, locator string) (bool, error)
}

// AtomPlace is a new place of a file atom's bytes: an address in a store, or a payload for the row.
// It is neither if the file is in segments, or if only its digest is to be corrected.
type AtomPlace struct {
	Digest  Digest // of the bytes, computed from them
	Bytes   int64
	Address Address
	// Payload has Bytes bytes for the row. PlaceAtom reads them once, or once per attempt if it
	// streams them. If they do not have Digest, it returns a *MismatchError.
	Payload io.ReaderAt
}

// AtomClashError says why two atoms of the same content cannot be merged.
type AtomClashError struct {
	Atom, Other int64
	Reason      string
}

func (e *AtomClashError) Error() string {
	return fmt.Sprintf("atoms %d and %d have the same content, and cannot be merged: %s", e.Atom, e.Other, e.Reason)
}

// FileStore is a store that also keeps whole files.
type FileStore interface {
	Store
	// PutFile stores the first size bytes of file under a name that no other content has. They must
	// have the digest. It reads the file once. After an error or a kill, another call resumes if the
	// driver can. The file is durable when PutFile returns nil, and Get reads it at the returned
	// address.
	PutFile(ctx context.Context, name string, digest Digest, file io.ReaderAt, size int64) (Address, error)
}
