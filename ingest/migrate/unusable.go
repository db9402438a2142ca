package migrate

import (
	"errors"

	"github.com/hartonomous/ingest/ingest"
)

// unusable returns why the payload of a row without a digest cannot be moved: the row has none, or it has
// an address. It returns nil for other rows.
func unusable(s *ingest.StoredSegment) error {
	switch {
	case !s.Digest.IsZero():
		return nil
	case s.Address.URI != "":
		return errNotOurs
	case !s.InRow:
		return ingest.ErrNoPayload
	}
	return nil
}

var errNotOurs = errors.New("another program recorded its address, and no digest: a copy there cannot be checked")
