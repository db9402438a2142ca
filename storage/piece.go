package storage

import (
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// NoRow is the error for a piece that no row is of any longer.
func NoRow(piece ingest.StoredSegment) error {
	return aboutPiece(piece, "%w", ingest.ErrNotFound)
}

// NoPayload is the error for a piece whose row has the payload elsewhere.
func NoPayload(piece ingest.StoredSegment) error {
	return aboutPiece(piece, "%w in its row", ingest.ErrNoPayload)
}

// CheckPayload refuses to put into the row of piece what is not its payload.
func CheckPayload(piece ingest.StoredSegment, payload []byte) error {
	if got := ingest.Sum(payload); got != piece.Digest {
		return aboutPiece(piece, "payload has digest %s, want %s", got, piece.Digest)
	}
	return nil
}

// CheckAddress refuses to relocate piece to nowhere.
func CheckAddress(piece ingest.StoredSegment, address ingest.Address) error {
	if address.URI == "" {
		return aboutPiece(piece, "the new address is empty")
	}
	return nil
}

func aboutPiece(piece ingest.StoredSegment, format string, args ...any) error {
	return fmt.Errorf("segment %d at %d of file %d: "+format,
		append([]any{piece.Ordinal, piece.Offset, piece.File}, args...)...)
}
