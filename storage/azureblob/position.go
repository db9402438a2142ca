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
	u.mayRely = s.isOurs
	return s.put(ctx, u)
}

const onlyOne = "catalogues count their models alike, so in the position layout each needs a container of its own"

// isOurs refuses to rely on what this catalogue has not put there, and to write over it.
func (s *PositionStore) isOurs(there *present) error {
	switch owner := there.metadata.get(metaCatalog); owner {
	case s.claimed():
		return nil
	case "":
		return fmt.Errorf("%s was not put there by this catalogue: %s", there.URI, onlyOne)
	default:
		return fmt.Errorf("%s holds a payload of the catalogue %s: %s", there.URI, ingest.Printable(unescape(owner)), onlyOne)
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
			if owner := there.metadata.get(metaCatalog); owner != "" && owner != s.claimed() { // "": another program wrote over ours
				return ingest.Address{}, s.isOurs(there)
			}
		}
		m = there.metadata.renamed()
	}
	if position, ok := parsePosition(name); ok && m.get(metaCatalog) == "" {
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
