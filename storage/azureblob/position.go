package azureblob

import (
	"context"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// PutAt stores the payload of one row under the row's numbers; see ingest.Placer. Another payload may lie there, of
// a run that was cut off before its row: it is written over, but not if another catalogue put it there.
func (s *PositionStore) PutAt(ctx context.Context, position ingest.Position, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	ours := s.claimed()
	u := newUpload(positionName(position), digest, payload, positionMetadata(position).with(metaCatalog, ours))
	u.mayReplace = s.isOurs
	return s.put(ctx, u)
}

// isOurs refuses to write over what this catalogue has not put there.
func (s *PositionStore) isOurs(there *present) error {
	const why = "catalogues count their models alike, so in the position layout each needs a container of its own"
	switch owner := there.metadata.get(metaCatalog); owner {
	case s.claimed():
		return nil
	case "":
		return fmt.Errorf("%s was not put there by this catalogue: %s", there.URI, why)
	default:
		return fmt.Errorf("%s holds a payload of the catalogue %s: %s", there.URI, ingest.Printable(unescape(owner)), why)
	}
}

// ReplaceAt stores a payload again where its row says that it lies; see ingest.Placer. What the blob's metadata
// says of the row is kept.
func (s *PositionStore) ReplaceAt(ctx context.Context, address ingest.Address, digest ingest.Digest, payload []byte) (ingest.Address, error) {
	name, err := nameAt(digest, address)
	if err != nil {
		return ingest.Address{}, err
	}
	there, err := s.look(ctx, name)
	if err != nil {
		return ingest.Address{}, err
	}
	m := metadata{}
	if there != nil {
		if _, ok := parsePosition(name); ok {
			if err := s.isOurs(there); err != nil {
				return ingest.Address{}, err
			}
		}
		m = there.metadata.renamed()
	} else if position, ok := parsePosition(name); ok {
		m = positionMetadata(position).with(metaCatalog, s.claimed())
	}
	return s.send(ctx, newUpload(name, digest, payload, m), whileStill(there))
}

// renamed spells the names that we know as we write them: in an answer they are as HTTP spells headers.
func (m metadata) renamed() metadata {
	if m == nil {
		return metadata{}
	}
	for _, name := range []string{metaModel, metaLayer, metaOrdinal, metaType, metaDigest, metaCRC, metaCatalog} {
		m.with(name, m.get(name))
	}
	return m
}

// claimed is the identity of the catalogue that claimed the store; empty if none did yet.
func (s *Store) claimed() string {
	if identity := s.catalog.Load(); identity != nil {
		return *identity
	}
	return ""
}
