package sqlserver

import (
	"context"
	"database/sql"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// readRow reads nothing if the size is not the expected one: another program may have written
// anything, and the driver would hold all of it in memory.
var readRow = sqlcatalog.OfRow("read-payload",
	`SELECT COALESCE(DATALENGTH(RawPayload), 0), CASE WHEN DATALENGTH(RawPayload) = @p6 THEN RawPayload END FROM `, ``)

// ReadPayload implements sqlcatalog.Rows.
func (c *engine) ReadPayload(ctx context.Context, s ingest.StoredSegment, into []byte) (bytes int64, err error) {
	if c.access.files != nil {
		return c.readFile(ctx, s, into)
	}
	statement, args := readRow.Of(s, int64(len(into)))
	err = c.Read(ctx, false, func(t *sqlcatalog.Tx) error {
		bytes = sqlcatalog.NoRow
		return t.Each(func(row sqlcatalog.Scanner) error {
			var payload sql.RawBytes // the driver's memory, without another copy
			err := row.Scan(&bytes, &payload)
			copy(into, payload)
			return err
		}, statement, args...)
	})
	return bytes, err
}
