package azureblob

import (
	"context"

	"github.com/hartonomous/ingest/ingest"
)

// Replace overwrites a payload at address; see ingest.Store. It keeps the metadata about the row.
func (s *Store) Replace(
	ctx context.Context,
	digest ingest.Digest,
	address ingest.Address,
	payload []byte,
) (ingest.Address, error) {
	name, err := nameAt(digest, address)
	if err != nil {
		return ingest.Address{}, err
	}
	now, err := tried(ctx, s, func() (ingest.Address, error) {
		for contest := 1; ; contest++ {
			now, err := s.replace(ctx, name, address.Content(digest), payload)
			if !isTaken(err) || contest == maxContests {
				return now, err
			}
		}
	})
	if err != nil {
		return ingest.Address{}, err
	}
	now.Encoding = address.Encoding
	return now, nil
}

func (s *Store) replace(
	ctx context.Context,
	name string,
	digest ingest.Digest,
	payload []byte,
) (ingest.Address, error) {
	there, err := s.look(ctx, name)
	if err != nil {
		return ingest.Address{}, err
	}
	m := metadata{}
	if there != nil {
		m = there.metadata.renamed().with(metaHidden, "")
	}
	if row, ok := parsePosition(name); ok {
		switch m.get(metaCatalog) {
		case "": // another program has overwritten ours
			m = positionMetadata(row).with(metaCatalog, s.ownedBy())
		case s.ownedBy():
		default:
			return ingest.Address{}, s.isOurs(there)
		}
	}
	return s.send(ctx, newUpload(name, digest, payload, m), whileStill(there))
}

// renamed spells known names as we write them: in an answer they have the case of HTTP headers.
func (m metadata) renamed() metadata {
	if m == nil {
		return metadata{}
	}
	for _, name := range []string{
		metaModel, metaLayer, metaOrdinal, metaType, metaDigest, metaCRC, metaCatalog, metaHidden,
	} {
		m.with(name, m.get(name))
	}
	return m
}
