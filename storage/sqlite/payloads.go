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
	"github.com/hartonomous/ingest/storage"
)

// row names the table of a piece and finds its row there. A number can be given
// out again when a model is removed, so the row must also hold what the piece says.
func row(piece ingest.StoredSegment) (table, where string, args []any) {
	const content = ` AND AtomId = (SELECT AtomId FROM Atoms WHERE ContentHash = ?)`
	if piece.Layer == 0 {
		return `FileSegments`, ` WHERE FileSegmentId = ? AND ModelFileId = ? AND SegmentOrdinal = ?` + content,
			[]any{piece.RowID, piece.File, piece.Ordinal, piece.Digest[:]}
	}
	const tensor = ` WHERE LayerTensorSegmentId = ? AND LayerId = (SELECT LayerId FROM ModelLayers WHERE LayerId = ? AND ModelFileId = ?)
		AND SegmentOrdinal = ?`
	return `LayerTensorSegments`, tensor + content, []any{piece.RowID, piece.Layer, piece.File, piece.Ordinal, piece.Digest[:]}
}

// ReadPayload implements ingest.RowStore. The payload goes from SQLite's memory
// straight into buffer: as the column of a row, the driver would make a copy of it first.
func (c *Catalog) ReadPayload(ctx context.Context, piece ingest.StoredSegment, buffer []byte) ([]byte, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	buffer = buffer[:0]
	number := lent.add(&buffer)
	defer lent.remove(number)
	table, where, args := row(piece)
	var bytes int64
	err := c.reader.QueryRowContext(ctx, `SELECT payload_into(?, RawPayload) FROM `+table+where, append([]any{number}, args...)...).Scan(&bytes)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, c.explain(storage.NoRow(piece))
	case err != nil:
		return nil, c.explain(err)
	case bytes == 0:
		return nil, c.explain(storage.NoPayload(piece))
	}
	return buffer, nil
}

// payloadInto is the SQL function payload_into(number, payload). It appends the payload
// to the buffer that is lent under this number, and returns how many bytes it has.
func payloadInto(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	number, _ := args[0].(int64)
	payload, _ := args[1].([]byte) // SQLite's own memory, which is gone when we return
	buffer := lent.get(number)
	if buffer == nil {
		return nil, fmt.Errorf("no buffer %d", number)
	}
	*buffer = append(*buffer, payload...)
	return int64(len(payload)), nil
}

// lent are the buffers that payload_into fills, of all catalogues of this process.
var lent = buffers{lent: make(map[int64]*[]byte)}

type buffers struct {
	mu   sync.Mutex
	last int64
	lent map[int64]*[]byte
}

func (b *buffers) add(buffer *[]byte) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	b.lent[b.last] = buffer
	return b.last
}

func (b *buffers) get(number int64) *[]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lent[number]
}

func (b *buffers) remove(number int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.lent, number)
}

// ReplacePayload implements ingest.RowStore. From then on the payload lies in
// the row, wherever it lay before.
func (c *Catalog) ReplacePayload(ctx context.Context, piece ingest.StoredSegment, payload []byte) error {
	if err := storage.CheckPayload(piece, payload); err != nil {
		return err
	}
	return c.place(ctx, piece, payload, ingest.Address{})
}

// Relocate implements ingest.Maintenance. A payload that lay in the row does so no longer.
func (c *Catalog) Relocate(ctx context.Context, piece ingest.StoredSegment, address ingest.Address) error {
	if err := storage.CheckAddress(piece, address); err != nil {
		return err
	}
	return c.place(ctx, piece, nil, address)
}

const setAddress = ` SET BlobUri = ?, BlobContainer = ?, BlobName = ?, BlobETag = ?, BlobSizeBytes = ?, BlobLastModified = ?`

func (c *Catalog) place(ctx context.Context, piece ingest.StoredSegment, payload []byte, address ingest.Address) error {
	return c.write(ctx, func(tx *tx) error {
		table, where, args := row(piece)
		a := addressColumns(address)
		changed, err := tx.exec(`UPDATE `+table+setAddress+`, RawPayload = ifnull(?, x'')`+where,
			append([]any{a[0], a[1], a[2], a[3], a[4], a[5], payload}, args...)...)
		if err == nil && changed == 0 {
			err = storage.NoRow(piece)
		}
		if address.Name == "" {
			return err
		}
		for _, table := range []string{`LayerTensorSegments`, `FileSegments`} { // the other rows of this payload
			if err == nil {
				_, err = tx.exec(`UPDATE `+table+setAddress+` WHERE AtomId = (SELECT AtomId FROM Atoms WHERE ContentHash = ?) AND BlobUri = ?`,
					a[0], a[1], a[2], a[3], a[4], a[5], piece.Digest[:], a[0])
			}
		}
		return err
	})
}
