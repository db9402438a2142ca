package sqlserver

import (
	"context"
	"database/sql"
	"math"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// atomPayloads reports whether Atoms has the column Payload: the FILESTREAM edition has it, the plain one does not.
func (c *engine) atomPayloads() bool {
	_, known := c.columns["Atoms.Payload"]
	return known
}

// MaxAtomPayload implements sqlcatalog.Dialect: what a parameter of a statement takes.
func (c *engine) MaxAtomPayload() int64 {
	if !c.atomPayloads() {
		return 0
	}
	return math.MaxInt32
}

// readAtom reads nothing where the payload ends before the bytes that are wanted. SUBSTRING of a FILESTREAM column
// reads no more than it returns.
var readAtom = sqlcatalog.Own("read-atom", `SELECT COALESCE(DATALENGTH(Payload), -2),
		CASE WHEN DATALENGTH(Payload) >= @p3 + @p4 THEN SUBSTRING(Payload, @p3 + 1, @p4) END
	FROM dbo.Atoms WHERE AtomId = @p1 AND ContentHash = @p2`)

// ReadAtom implements sqlcatalog.Dialect.
func (c *engine) ReadAtom(ctx context.Context, atom ingest.FileAtom, offset int64, into []byte) (bytes int64,
	err error) {
	if !c.atomPayloads() {
		return sqlcatalog.NoPayload, nil
	}
	err = c.Read(ctx, false, func(t *sqlcatalog.Tx) error {
		bytes = sqlcatalog.NoRow
		return t.Each(func(row sqlcatalog.Scanner) error {
			var payload sql.RawBytes // the driver's own bytes: one copy less of megabytes
			err := row.Scan(&bytes, &payload)
			copy(into, payload)
			return err
		}, readAtom, atom.ID, atom.Digest[:], offset, int64(len(into)))
	})
	return bytes, err
}
