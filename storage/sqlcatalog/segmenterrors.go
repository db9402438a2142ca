package sqlcatalog

import (
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// noRow is the error for a piece that no row is of any longer.
func noRow(piece ingest.StoredSegment) error {
	return aboutSegment(piece, "%w", ingest.ErrNotFound)
}

// noPayload is the error for a piece whose row has the payload elsewhere.
func noPayload(piece ingest.StoredSegment) error {
	return aboutSegment(piece, "%w in its row", ingest.ErrNoPayload)
}

// checkPayload refuses to put into the row of piece what is not its payload.
func checkPayload(piece ingest.StoredSegment, payload []byte) error {
	if got := ingest.Sum(payload); got != piece.Digest {
		return aboutSegment(piece, "payload has digest %s, want %s", got, piece.Digest)
	}
	return nil
}

// checkAddress refuses to relocate piece to nowhere.
func checkAddress(piece ingest.StoredSegment, address ingest.Address) error {
	if address.URI == "" {
		return aboutSegment(piece, "the new address is empty")
	}
	return nil
}

func aboutSegment(piece ingest.StoredSegment, format string, args ...any) error {
	return fmt.Errorf("segment %d at %d of file %d: "+format,
		append([]any{piece.Ordinal, piece.Offset, piece.File}, args...)...)
}
