package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/sqlserver/filestream"
)

// recordFiles is one attempt at a batch whose payloads are written as files.
func (c *Catalog) recordFiles(ctx context.Context, r *recording) error {
	return c.on(ctx, c.db, func(t *tx) error {
		b := &fileBatch{fileTx: fileTx{tx: t}, recording: r}
		return c.refused(filestream.Store(ctx, b, b, c.way.files, c.sharing))
	})
}

// readFile reads the payload of piece as a file.
func (c *Catalog) readFile(ctx context.Context, piece ingest.StoredSegment, buffer []byte) ([]byte, error) {
	if piece.Bytes < 0 || piece.Bytes > math.MaxInt32 { // another program may have written anything
		return nil, c.explain(fmt.Errorf("%w: its row says %d bytes", filestream.ErrSize, piece.Bytes))
	}
	size := int(piece.Bytes)
	buffer = slices.Grow(buffer[:0], size)[:size]
	err := c.again(ctx, c.policy, func() error {
		return c.on(ctx, c.db, func(t *tx) error {
			transaction := &fileTx{tx: t}
			locate := func(context.Context) ([]byte, string, error) { return transaction.locate(piece) }
			return c.refused(filestream.Load(ctx, transaction, locate, buffer, c.way.files, c.sharing))
		})
	})
	if err != nil {
		return nil, err
	}
	return buffer, nil
}

// sharing is how long a transaction waits for files that are open elsewhere. It is short, because it has locks that others
// wait for, above all on the atoms of its batch. After that it is rolled back, and the whole of it tried again, as often as any other.
var sharing = storage.Policy{Attempts: 8, First: 20 * time.Millisecond, Longest: time.Second, Total: 5 * time.Second}

// refused explains an error of Windows, which explain would take for one of the network, whatever it is. A file that
// was open elsewhere until this transaction gave up may not be so for the next one.
func (c *Catalog) refused(err error) error {
	if refusal, ok := errors.AsType[*filestream.Error](err); ok {
		return &fault{name: c.name, transient: refusal.Transient(), err: err}
	}
	return err
}

// fileTx is a transaction under which payloads are opened as files.
type fileTx struct {
	*tx
	asking bool // the server, in the midst of a step
}

var _ filestream.Transaction = (*fileTx)(nil)

// Begin implements filestream.Transaction.
func (f *fileTx) Begin(context.Context) error { return f.control("BEGIN TRANSACTION") }

// Commit implements filestream.Transaction.
func (f *fileTx) Commit(context.Context) error { return f.control("COMMIT TRANSACTION") }

// Rollback implements filestream.Transaction. A connection in doubt is closed by who opened it (Catalog.on).
func (f *fileTx) Rollback(context.Context) {
	if f.failed || f.asking { // asking is left set by a panic alone
		f.failed = true
		return
	}
	_ = f.control("ROLLBACK TRANSACTION")
}

// ask runs a step that uses the connection.
func (f *fileTx) ask(step func() error) error {
	f.asking = true
	err := step()
	f.asking = false
	return err
}

// token reads what opens the files of the transaction.
func (f *fileTx) token() (token []byte, err error) {
	err = f.each(func(rows *sql.Rows) error { return rows.Scan(&token) },
		`/* ingest: token */ SELECT GET_FILESTREAM_TRANSACTION_CONTEXT()`)
	return token, err
}

// locate implements filestream.Locate for the payload of piece.
func (f *fileTx) locate(piece ingest.StoredSegment) (token []byte, path string, err error) {
	bytes := int64(0)
	err = f.ask(func() error {
		if path, bytes, err = f.path(piece); err != nil || bytes == 0 {
			return err
		}
		token, err = f.token()
		return err
	})
	if err == nil && bytes == 0 {
		err = storage.NoPayload(piece)
	}
	return token, path, err
}

// path reads where the payload of piece can be opened, and how long it is.
func (f *fileTx) path(piece ingest.StoredSegment) (path string, bytes int64, err error) {
	table, where, args := of(piece)
	found := false
	err = f.each(func(rows *sql.Rows) error {
		var name sql.NullString
		err := rows.Scan(&name, &bytes)
		path, found = name.String, true
		return err
	}, `/* ingest: locate-payload */ SELECT RawPayload.PathName(), COALESCE(DATALENGTH(RawPayload), 0) FROM `+table+where, args...)
	if err == nil && !found {
		err = storage.NoRow(piece)
	}
	return path, bytes, err
}

// replaceFile is ReplacePayload for a payload that is written as a file.
func (c *Catalog) replaceFile(ctx context.Context, piece ingest.StoredSegment, payload []byte) error {
	return c.again(ctx, c.policy, func() error {
		return c.on(ctx, c.db, func(t *tx) error {
			r := &replacement{fileTx: fileTx{tx: t}, piece: piece, payload: payload}
			return c.refused(filestream.Store(ctx, r, r, c.way.files, c.sharing))
		})
	})
}

// replacement is a batch of one row, which is there already.
type replacement struct {
	fileTx
	piece   ingest.StoredSegment
	payload []byte
}

var _ filestream.Batch = (*replacement)(nil)

// Insert implements filestream.Batch: the row has an empty payload, and no address, from here on.
func (r *replacement) Insert(context.Context) error {
	return r.ask(func() error { return r.place(r.piece, []byte{}, ingest.Address{}) })
}

// Slots implements filestream.Batch.
func (r *replacement) Slots(context.Context) (token []byte, slots []filestream.Slot, err error) {
	err = r.ask(func() error {
		path, _, err := r.path(r.piece)
		if err != nil {
			return err
		}
		slots = []filestream.Slot{{Name: r.piece.Place(), Path: path, Payload: r.payload}}
		token, err = r.token()
		return err
	})
	return token, slots, err
}

// Update implements filestream.Batch.
func (r *replacement) Update(context.Context) error { return nil }

// fileBatch is the T-SQL of a batch whose payloads are written as files.
type fileBatch struct {
	fileTx
	*recording
}

var _ filestream.Batch = (*fileBatch)(nil)

// Insert implements filestream.Batch.
func (b *fileBatch) Insert(context.Context) error {
	return b.ask(func() error {
		if err := b.hold(b.lease); err != nil {
			return err
		}
		return b.makeRows(b.tx)
	})
}

// newPaths finds the files of the batch's new rows, by their keys, as reconcile does.
const newPaths = `/* ingest: new-paths */ SELECT b.RowNo, s.RawPayload.PathName()
	FROM #ingest_batch AS b INNER JOIN dbo.LayerTensorSegments AS s WITH (FORCESEEK) ON s.LayerId = b.LayerId AND s.SegmentOrdinal = b.SegmentOrdinal
	WHERE b.New = 1
	UNION ALL SELECT b.RowNo, s.RawPayload.PathName()
	FROM #ingest_batch AS b INNER JOIN dbo.FileSegments AS s WITH (FORCESEEK) ON s.ModelFileId = @p1 AND s.SegmentOrdinal = b.SegmentOrdinal
	WHERE b.New = 1 AND b.LayerId IS NULL
	ORDER BY RowNo`

// Slots implements filestream.Batch.
func (b *fileBatch) Slots(context.Context) (token []byte, slots []filestream.Slot, err error) {
	err = b.ask(func() error {
		err := b.each(func(rows *sql.Rows) error {
			var i int
			var path sql.NullString
			if err := rows.Scan(&i, &path); err != nil {
				return err
			}
			segment := b.batch.Segments[i]
			slots = append(slots, filestream.Slot{Name: segmentAt(segment.Offset, b.batch), Path: path.String, Payload: segment.Payload})
			return nil
		}, newPaths, int64(b.batch.File))
		if err != nil || len(slots) == 0 {
			return err
		}
		token, err = b.token()
		return err
	})
	if err == nil && int64(len(slots)) != b.added.Segments {
		err = raceError(fmt.Sprintf("%d rows were made, and %d of them have a file", b.added.Segments, len(slots)))
	}
	return token, slots, err
}

// Update implements filestream.Batch.
func (b *fileBatch) Update(context.Context) error {
	return b.ask(func() error {
		if err := b.note(b.tx); err != nil {
			return err
		}
		return b.fence(b.lease)
	})
}
