package sqlite

import (
	"context"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// smallPayload is the maximum size of a payload that is kept with its atom, in SmallPayloads.
const smallPayload = 32 << 10

// ofAtom selects the payload that is kept with the atom of a segment's row. Only a row that has
// neither a payload nor an address has one there.
const ofAtom = `FROM SmallPayloads WHERE PayloadAtomId = AtomId AND BlobUri IS NULL`

// isSmall is the condition that the payload of a segment is kept with its atom.
func isSmall(segment string) string {
	return `(length(` + segment + `.RawPayload) = 0 AND ` + segment + `.BlobUri IS NULL AND EXISTS (
		SELECT 1 FROM SmallPayloads AS p WHERE p.PayloadAtomId = ` + segment + `.AtomId))`
}

// payloadSize is the size of the payload of a segment's row, which may be small.
const payloadSize = `CASE WHEN length(RawPayload) > 0 THEN length(RawPayload)
	ELSE ifnull((SELECT length(Payload) ` + ofAtom + `), 0) END`

var hashPayload = sqlcatalog.OfRow("hash-payload", `SELECT `+payloadSize+`,
		CASE WHEN length(RawPayload) > 0 THEN sha256_of(RawPayload)
			ELSE (SELECT sha256_of(Payload) `+ofAtom+`) END FROM `, ``)

// SmallPayload implements sqlcatalog.Rows.
func (d *dialect) SmallPayload() int64 { return smallPayload }

// replaceSmall writes the payload for all segments with this content.
var replaceSmall = sqlcatalog.Own("replace-small", `INSERT INTO SmallPayloads (PayloadAtomId, Payload)
	SELECT AtomId, @p2 FROM Atoms WHERE ContentHash = @p1
	ON CONFLICT DO UPDATE SET Payload = excluded.Payload`)

// Replace implements sqlcatalog.Rows. A payload that is nowhere goes to its row: perhaps the store is
// the rows.
func (d *dialect) Replace(ctx context.Context, lease ingest.Lease, s ingest.StoredSegment, payload []byte) (bool,
	error) {
	if !s.Small {
		return false, nil
	}
	return true, d.Write(ctx, false, sqlcatalog.Under(lease, func(t *sqlcatalog.Tx) error {
		changed, err := t.Change(replaceSmall, s.Digest[:], payload)
		if err == nil && changed == 0 {
			err = fmt.Errorf("the content of %s: %w", s.Place(), ingest.ErrNotFound)
		}
		return err
	}))
}
