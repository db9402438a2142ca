package sqlcatalog

import (
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// noRow is the error for a segment whose row does not exist.
func noRow(s ingest.StoredSegment) error {
	return aboutSegment(s, "%w", ingest.ErrNotFound)
}

// noPayload is the error for a segment whose payload is not in its row.
func noPayload(s ingest.StoredSegment) error {
	return aboutSegment(s, "%w in its row", ingest.ErrNoPayload)
}

// checkPayload returns an error if payload does not have the segment's digest.
func checkPayload(s ingest.StoredSegment, payload []byte) error {
	if got := ingest.Sum(payload); got != s.Digest {
		return aboutSegment(s, "payload has digest %s, want %s", got, s.Digest)
	}
	return nil
}

// checkAddress returns an error for an empty address, or for an impossible encoding.
func checkAddress(s ingest.StoredSegment, address ingest.Address) error {
	if address.URI == "" {
		return aboutSegment(s, "the new address is empty")
	}
	if err := checkEncoding(address, s.Bytes); err != nil {
		return aboutSegment(s, "%w", err)
	}
	return nil
}

// rowName names the row of a segment.
func rowName(s ingest.StoredSegment) string {
	table := "LayerTensorSegments"
	if s.Layer == 0 {
		table = "FileSegments"
	}
	return fmt.Sprintf("row %d of %s", s.RowID, table)
}

func aboutSegment(s ingest.StoredSegment, format string, args ...any) error {
	if s.Layer != 0 && s.File == 0 {
		return fmt.Errorf("segment %d of layer %d: "+format, append([]any{s.Ordinal, s.Layer}, args...)...)
	}
	return fmt.Errorf("segment %d at %d of file %d: "+format,
		append([]any{s.Ordinal, s.Offset, s.File}, args...)...)
}
