package sqlserver

import (
	"context"
	"database/sql"
	"fmt"
	"math"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
	"github.com/hartonomous/ingest/storage/sqlserver/filestream"
)

// atomPayloads reports whether Atoms has the column Payload. Only the FILESTREAM edition has it.
func (c *engine) atomPayloads() bool {
	_, known := c.columns["Atoms.Payload"]
	return known
}

// MaxAtomPayload implements sqlcatalog.Rows. A parameter takes 2 GB; only the volume limits a
// file.
func (c *engine) MaxAtomPayload() (bytes int64, streamed bool) {
	switch {
	case !c.atomPayloads():
		return 0, false
	case c.atomFiles && c.access.files != nil:
		return math.MaxInt64, true
	}
	return math.MaxInt32, false
}

// FillFile implements sqlcatalog.Rows.
func (c *engine) FillFile(ctx context.Context, fill sqlcatalog.FileFill) (bool, error) {
	if _, streamed := c.MaxAtomPayload(); !streamed {
		return false, nil
	}
	return true, c.retry(ctx, c.policy, func() error {
		return c.on(ctx, c.patient, func(t *sqlcatalog.Tx) error {
			f := &atomFill{fileTx: fileTx{Tx: t}, steps: fill}
			return c.refused(filestream.Store(ctx, f, f, c.access.files, c.sharing))
		})
	})
}

// atomFill is a batch of one existing row of Atoms.
type atomFill struct {
	fileTx
	steps sqlcatalog.FileFill
	atom  int64
}

var _ filestream.Batch = (*atomFill)(nil)

// Insert implements filestream.Batch. It sets an empty payload.
func (f *atomFill) Insert(context.Context) error {
	return f.ask(func() (err error) {
		f.atom, err = f.steps.Begin(f.Tx)
		return err
	})
}

var locateAtom = sqlcatalog.Own("locate-atom", `SELECT Payload.PathName() FROM dbo.Atoms WHERE AtomId = @p1`)

// Slots implements filestream.Batch.
func (f *atomFill) Slots(context.Context) (token []byte, slots []filestream.Slot, err error) {
	if f.atom == 0 {
		return nil, nil, nil
	}
	err = f.ask(func() error {
		var path sql.NullString
		err := f.Each(func(row sqlcatalog.Scanner) error { return row.Scan(&path) }, locateAtom, f.atom)
		if err != nil {
			return err
		}
		slots = []filestream.Slot{{Name: fmt.Sprintf("atom %d", f.atom), Path: path.String, Stream: f.steps.Payload()}}
		token, err = f.token()
		return err
	})
	return token, slots, err
}

// Update implements filestream.Batch.
func (f *atomFill) Update(context.Context) error {
	return f.ask(func() error { return f.steps.Finish(f.Tx) })
}

// readAtom reads nothing if the payload is shorter than @p3 + @p4. SUBSTRING of a FILESTREAM column
// reads only the bytes that it returns.
var readAtom = sqlcatalog.Own("read-atom", `SELECT COALESCE(DATALENGTH(Payload), -2),
		CASE WHEN DATALENGTH(Payload) >= @p3 + @p4 THEN SUBSTRING(Payload, @p3 + 1, @p4) END
	FROM dbo.Atoms WHERE AtomId = @p1 AND ContentHash = @p2`)

// ReadAtom implements sqlcatalog.Rows.
func (c *engine) ReadAtom(ctx context.Context, atom ingest.FileAtom, offset int64, into []byte) (bytes int64,
	err error) {
	if !c.atomPayloads() {
		return sqlcatalog.NoPayload, nil
	}
	err = c.Read(ctx, false, func(t *sqlcatalog.Tx) error {
		bytes = sqlcatalog.NoRow
		return t.Each(func(row sqlcatalog.Scanner) error {
			var payload sql.RawBytes // the driver's own bytes, which saves a copy
			err := row.Scan(&bytes, &payload)
			copy(into, payload)
			return err
		}, readAtom, atom.ID, atom.Digest[:], offset, int64(len(into)))
	})
	return bytes, err
}
