package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
	"github.com/hartonomous/ingest/storage/sqlserver/filestream"
)

// storeFiles executes the transaction of a batch whose payloads are written as files.
func (c *engine) storeFiles(t *sqlcatalog.Tx, r *recording) error {
	b := &fileBatch{fileTx: fileTx{Tx: t}, recording: r}
	return c.refused(filestream.Store(t.Context, b, b, c.access.files, c.sharing))
}

// readFile reads the payload of a segment as a file, if it has the expected size.
func (c *engine) readFile(ctx context.Context, s ingest.StoredSegment, into []byte) (bytes int64, err error) {
	err = c.retry(ctx, c.policy, func() error {
		return c.on(ctx, c.usual, func(t *sqlcatalog.Tx) error {
			transaction := &fileTx{Tx: t}
			locate := func(context.Context) (token []byte, path string, err error) {
				token, path, bytes, err = transaction.locate(s, int64(len(into)))
				return token, path, err
			}
			return c.refused(filestream.Load(ctx, transaction, locate, into, c.access.files, c.sharing))
		})
	})
	if errors.Is(err, errOtherSize) {
		err = nil
	}
	return bytes, err
}

// errOtherSize ends the transaction before the file is opened; sqlcatalog reports the size.
var errOtherSize = errors.New("the payload has another size")

// sharing is how long a transaction waits for files that are in use. It is short, because others
// wait for the transaction's locks, above all on the rows of its batch. After that, the transaction
// is rolled back and retried.
var sharing = storage.Policy{Attempts: 8, First: 20 * time.Millisecond, Longest: time.Second, Total: 5 * time.Second}

// refused explains a Windows error, which explain would take for a network error. A file that was
// in use until this transaction gave up may be free for the next one.
func (c *engine) refused(err error) error {
	if refusal, ok := errors.AsType[*filestream.Error](err); ok {
		return &fault{name: c.name, transient: refusal.Transient(), err: err}
	}
	return err
}

// fileTx is a transaction in which payloads are opened as files.
type fileTx struct {
	*sqlcatalog.Tx
	asking bool // a step is using the connection
}

var _ filestream.Transaction = (*fileTx)(nil)

// Begin implements filestream.Transaction.
func (f *fileTx) Begin(context.Context) error { return control(f.Tx, "BEGIN TRANSACTION") }

// Commit implements filestream.Transaction.
func (f *fileTx) Commit(context.Context) error { return control(f.Tx, "COMMIT TRANSACTION") }

// Rollback implements filestream.Transaction. engine.on drops a connection in doubt.
func (f *fileTx) Rollback(context.Context) {
	if f.InDoubt || f.asking { // only a panic leaves asking set
		f.InDoubt = true
		return
	}
	_ = control(f.Tx, "ROLLBACK TRANSACTION")
}

// ask runs a step that uses the connection.
func (f *fileTx) ask(step func() error) error {
	f.asking = true
	err := step()
	f.asking = false
	return err
}

var selectToken = sqlcatalog.Own("token", `SELECT GET_FILESTREAM_TRANSACTION_CONTEXT()`)

// token reads the token that opens the files of the transaction.
func (f *fileTx) token() (token []byte, err error) {
	err = f.Each(func(row sqlcatalog.Scanner) error { return row.Scan(&token) }, selectToken)
	return token, err
}

// locate finds the file of a segment, if the payload has the size want.
func (f *fileTx) locate(s ingest.StoredSegment, want int64) (token []byte, path string, bytes int64, err error) {
	err = f.ask(func() error {
		if path, bytes, err = f.path(s); err != nil {
			return err
		}
		if bytes <= 0 || bytes != want {
			return errOtherSize
		}
		token, err = f.token()
		return err
	})
	return token, path, bytes, err
}

var locateRow = sqlcatalog.OfRow("locate-payload",
	`SELECT RawPayload.PathName(), COALESCE(DATALENGTH(RawPayload), 0) FROM `, ``)

// path reads the path and the size of a segment's payload.
func (f *fileTx) path(s ingest.StoredSegment) (path string, bytes int64, err error) {
	bytes = sqlcatalog.NoRow
	statement, args := locateRow.Of(s)
	err = f.Each(func(row sqlcatalog.Scanner) error {
		var name sql.NullString
		err := row.Scan(&name, &bytes)
		path = name.String
		return err
	}, statement, args...)
	return path, bytes, err
}

// Replace implements sqlcatalog.Rows.
func (c *engine) Replace(ctx context.Context, lease ingest.Lease, s ingest.StoredSegment,
	payload []byte) (bool, error) {
	if c.access.files == nil {
		return false, nil
	}
	return true, c.retry(ctx, c.policy, func() error {
		return c.on(ctx, c.usual, func(t *sqlcatalog.Tx) error {
			r := &replacement{fileTx: fileTx{Tx: t}, lease: lease, segment: s, payload: payload}
			return c.refused(filestream.Store(ctx, r, r, c.access.files, c.sharing))
		})
	})
}

// SmallPayload implements sqlcatalog.Rows: all payloads are in the store or in their rows.
func (c *engine) SmallPayload() int64 { return 0 }

// RecordIn implements sqlcatalog.Rows.
func (c *engine) RecordIn(*sqlcatalog.Tx, *sqlcatalog.Recording) (added sqlcatalog.Added, err error) {
	return added, errors.ErrUnsupported
}

// replacement is a batch of one existing row.
type replacement struct {
	fileTx
	lease   ingest.Lease
	segment ingest.StoredSegment
	payload []byte
}

var _ filestream.Batch = (*replacement)(nil)

// Insert implements filestream.Batch. It clears the row's payload and address.
func (r *replacement) Insert(context.Context) error {
	return r.ask(func() error {
		if err := r.Hold(r.lease); err != nil {
			return err
		}
		return r.Place(r.segment, []byte{}, ingest.Address{})
	})
}

// Slots implements filestream.Batch.
func (r *replacement) Slots(context.Context) (token []byte, slots []filestream.Slot, err error) {
	err = r.ask(func() error {
		path, bytes, err := r.path(r.segment)
		if err == nil && bytes == sqlcatalog.NoRow {
			err = sqlcatalog.RaceError("the row was deleted")
		}
		if err != nil {
			return err
		}
		slots = []filestream.Slot{{Name: r.segment.Place(), Path: path, Payload: r.payload}}
		token, err = r.token()
		return err
	})
	return token, slots, err
}

// Update implements filestream.Batch.
func (r *replacement) Update(context.Context) error {
	return r.ask(func() error { return r.Fence(r.lease) })
}

// fileBatch is the T-SQL of a batch whose payloads are written as files.
type fileBatch struct {
	fileTx
	*recording
}

var _ filestream.Batch = (*fileBatch)(nil)

// Insert implements filestream.Batch.
func (b *fileBatch) Insert(context.Context) error {
	return b.ask(func() error { return b.rows(b.Tx, false) })
}

// newPaths finds the files of the batch's new rows by their keys, like reconcile.
var newPaths = sqlcatalog.Own("new-paths", `SELECT b.RowNo, s.RawPayload.PathName()
	FROM #ingest_batch AS b INNER JOIN dbo.LayerTensorSegments AS s WITH (FORCESEEK)
		ON s.LayerId = b.LayerId AND s.SegmentOrdinal = b.SegmentOrdinal
	WHERE b.New = 1
	UNION ALL SELECT b.RowNo, s.RawPayload.PathName()
	FROM #ingest_batch AS b INNER JOIN dbo.FileSegments AS s WITH (FORCESEEK)
		ON s.ModelFileId = @p1 AND s.SegmentOrdinal = b.SegmentOrdinal
	WHERE b.New = 1 AND b.LayerId IS NULL
	ORDER BY RowNo`)

// Slots implements filestream.Batch.
func (b *fileBatch) Slots(context.Context) (token []byte, slots []filestream.Slot, err error) {
	err = b.ask(func() error {
		err := b.Each(func(row sqlcatalog.Scanner) error {
			var i int
			var path sql.NullString
			if err := row.Scan(&i, &path); err != nil {
				return err
			}
			s := &b.Batch.Segments[i]
			slots = append(slots, filestream.Slot{Name: b.Name(s), Path: path.String, Payload: s.Payload})
			return nil
		}, newPaths, b.Batch.File)
		if err != nil || len(slots) == 0 {
			return err
		}
		token, err = b.token()
		return err
	})
	if err == nil && int64(len(slots)) != b.made {
		err = sqlcatalog.RaceError(fmt.Sprintf("%d rows were inserted, but %d have a file", b.made, len(slots)))
	}
	return token, slots, err
}

// Update implements filestream.Batch. It locks the atoms, after the payloads are written.
func (b *fileBatch) Update(context.Context) error {
	return b.ask(func() error { return b.finish(b.Tx) })
}
