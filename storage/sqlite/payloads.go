package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"

	sqlite "modernc.org/sqlite"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// readRow copies nothing if the size is not the expected one: another program may have written
// anything.
var readRow = sqlcatalog.OfRow("read-payload", `SELECT `+payloadSize+`,
		CASE WHEN length(RawPayload) = @p6 THEN payload_into(@p7, RawPayload) WHEN length(RawPayload) = 0
			THEN (SELECT payload_into(@p7, Payload) `+ofAtom+` AND length(Payload) = @p6) END FROM `, ``)

// ReadPayload implements sqlcatalog.Rows. The payload is copied once, from SQLite's memory into the
// buffer: for a column of a row, the driver would make another copy.
func (d *dialect) ReadPayload(ctx context.Context, s ingest.StoredSegment, into []byte) (bytes int64, err error) {
	d.reading.Lock()
	defer d.reading.Unlock()
	number := lent.add(into)
	defer lent.remove(number)
	statement, args := readRow.Of(s, len(into), number)
	err = d.Read(ctx, false, func(t *sqlcatalog.Tx) error {
		var copied sql.NullInt64
		err := t.One(statement, args...).Scan(&bytes, &copied)
		if errors.Is(err, sql.ErrNoRows) {
			bytes, err = sqlcatalog.NoRow, nil
		}
		return err
	})
	return bytes, err
}

// payloadInto is the SQL function payload_into(number, payload). It copies the payload into the
// buffer registered as number, which is as long, and returns the payload's length.
func payloadInto(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	number, _ := args[0].(int64)
	payload, _ := args[1].([]byte) // SQLite's memory, invalid after the return
	buffer := lent.get(number)
	if buffer == nil {
		return nil, fmt.Errorf("no buffer %d", number)
	}
	return int64(copy(buffer, payload)), nil
}

// sha256Of is the SQL function sha256_of(payload).
func sha256Of(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	payload, _ := args[0].([]byte)
	sum := ingest.Sum(payload)
	return sum[:], nil
}

// lent are the buffers that payload_into fills, for all catalogues of this process.
var lent = buffers{lent: make(map[int64][]byte)}

type buffers struct {
	mu   sync.Mutex
	last int64
	lent map[int64][]byte
}

func (b *buffers) add(buffer []byte) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	b.lent[b.last] = buffer
	return b.last
}

func (b *buffers) get(number int64) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lent[number]
}

func (b *buffers) remove(number int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.lent, number)
}
