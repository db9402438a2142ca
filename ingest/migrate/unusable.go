package migrate

import (
	"errors"

	"github.com/hartonomous/ingest/ingest"
)

// unusable returns an error for a row without a digest that has no payload, or an address.
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
