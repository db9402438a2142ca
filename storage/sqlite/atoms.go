package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// maxAtomPayload is SQLite's limit for a row, a billion bytes, less 1 MiB for the row's other
// columns.
const maxAtomPayload = 1_000_000_000 - 1<<20

// MaxAtomPayload implements sqlcatalog.Rows.
func (d *dialect) MaxAtomPayload() (bytes int64, streamed bool) { return maxAtomPayload, false }

// FillFile implements sqlcatalog.Rows: payloads are parameters.
func (d *dialect) FillFile(context.Context, sqlcatalog.FileFill) (bool, error) { return false, nil }

// readAtom copies nothing if the payload is shorter than @p3 + @p4.
var readAtom = sqlcatalog.Own("read-atom", `SELECT CASE WHEN Payload IS NULL THEN -2 ELSE length(Payload) END,
		CASE WHEN @p4 > 0 AND length(Payload) >= @p3 + @p4 THEN payload_into(@p5, substr(Payload, @p3 + 1, @p4)) END
	FROM Atoms WHERE AtomId = @p1 AND ContentHash = @p2`)

// ReadAtom implements sqlcatalog.Rows. SQLite holds the whole payload in memory to read a part
// of it.
func (d *dialect) ReadAtom(ctx context.Context, atom ingest.FileAtom, offset int64, into []byte) (bytes int64,
	err error) {
	d.reading.Lock()
	defer d.reading.Unlock()
	number := lent.add(into)
	defer lent.remove(number)
	err = d.Read(ctx, false, func(t *sqlcatalog.Tx) error {
		var copied sql.NullInt64
		err := t.One(readAtom, atom.ID, atom.Digest[:], offset, len(into), number).Scan(&bytes, &copied)
		if errors.Is(err, sql.ErrNoRows) {
			bytes, err = sqlcatalog.NoRow, nil
		}
		return err
	})
	return bytes, err
}
