package sqlserver

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// of names the table of a piece and finds its row there. A number can be given
// out again when a model is removed, so the row must also hold what the piece says.
func of(piece ingest.StoredSegment) (table, where string, args []any) {
	const content = ` AND AtomId = (SELECT AtomId FROM dbo.Atoms WHERE ContentHash = @p4)`
	if piece.Layer == 0 {
		return `dbo.FileSegments`, ` WHERE FileSegmentId = @p1 AND ModelFileId = @p2 AND SegmentOrdinal = @p3` + content,
			[]any{piece.RowID, int64(piece.File), piece.Ordinal, piece.Digest[:]}
	}
	return `dbo.LayerTensorSegments`, ` WHERE LayerTensorSegmentId = @p1 AND LayerId = @p2 AND SegmentOrdinal = @p3` + content,
		[]any{piece.RowID, int64(piece.Layer), piece.Ordinal, piece.Digest[:]}
}

// ReadPayload implements ingest.RowStore.
func (c *Catalog) ReadPayload(ctx context.Context, piece ingest.StoredSegment, buffer []byte) ([]byte, error) {
	if c.way.files != nil {
		return c.readFile(ctx, piece, buffer)
	}
	table, where, args := of(piece)
	found := false
	err := c.read(ctx, func(tx *tx) error {
		found = false
		return tx.each(func(rows *sql.Rows) error {
			var payload sql.RawBytes // the driver's own bytes: one copy less of megabytes
			err := rows.Scan(&payload)
			buffer, found = append(buffer[:0], payload...), true
			return err
		}, `/* ingest: read-payload */ SELECT RawPayload FROM `+table+where, args...)
	})
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, c.explain(storage.NoRow(piece))
	case len(buffer) == 0:
		return nil, c.explain(storage.NoPayload(piece))
	}
	return buffer, nil
}

// HashPayload implements ingest.Hasher. HASHBYTES takes payloads of any size since SQL Server 2016, the oldest that will do.
func (c *Catalog) HashPayload(ctx context.Context, piece ingest.StoredSegment) (digest ingest.Digest, err error) {
	table, where, args := of(piece)
	err = c.read(ctx, func(tx *tx) error {
		var bytes int64
		var sum []byte
		err := tx.one(`/* ingest: hash-payload */ SELECT COALESCE(DATALENGTH(RawPayload), 0), HASHBYTES('SHA2_256', RawPayload) FROM `+table+where, args...).Scan(&bytes, &sum)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return storage.NoRow(piece)
		case err == nil && bytes == 0:
			return storage.NoPayload(piece)
		}
		copy(digest[:], sum)
		return err
	})
	return digest, err
}

// ReplacePayload implements ingest.RowStore. From then on the payload lies in
// the row, wherever it lay before.
func (c *Catalog) ReplacePayload(ctx context.Context, piece ingest.StoredSegment, payload []byte) error {
	if err := storage.CheckPayload(piece, payload); err != nil {
		return err
	}
	if c.way.files != nil {
		return c.replaceFile(ctx, piece, payload)
	}
	return c.write(ctx, func(tx *tx) error { return tx.place(piece, payload, ingest.Address{}) })
}

// Relocate implements ingest.Maintenance. A payload that lay in the row does so no longer.
func (c *Catalog) Relocate(ctx context.Context, piece ingest.StoredSegment, address ingest.Address) error {
	if err := storage.CheckAddress(piece, address); err != nil {
		return err
	}
	return c.write(ctx, func(tx *tx) error { return tx.place(piece, []byte{}, address) })
}

// place changes one row, and what the other rows of its payload say of the place where it now lies.
func (t *tx) place(piece ingest.StoredSegment, payload []byte, address ingest.Address) error {
	table, where, args := of(piece)
	a := t.c.addressColumns(address)
	exactly, _ := a.exact.([]byte)
	modified, known := a.modified.(time.Time)
	args = append(args, typed(a.uri), typed(a.container), typed(a.name), typed(a.etag), a.bytes, sql.NullTime{Time: modified, Valid: known}, exactly, payload)
	changed, err := t.change(`/* ingest: place-payload */ UPDATE `+table+` SET BlobUri = @p5, BlobContainer = @p6, BlobName = @p7, BlobETag = @p8,
		BlobSizeBytes = @p9, BlobLastModified = @p10, AddressExact = @p11, RawPayload = @p12`+where, args...)
	if err == nil && changed == 0 {
		err = storage.NoRow(piece)
	}
	if err != nil || address.Name == "" || a.exact != nil {
		return err
	}
	const set = ` SET BlobETag = @p2, BlobSizeBytes = @p3, BlobLastModified = @p4, AddressExact = NULL
		WHERE AtomId = (SELECT AtomId FROM dbo.Atoms WHERE ContentHash = @p1) AND BlobUri = @p5`
	return t.do([]string{`/* ingest: place-shared */ UPDATE dbo.LayerTensorSegments` + set, `/* ingest: place-shared */ UPDATE dbo.FileSegments` + set},
		piece.Digest[:], typed(a.etag), a.bytes, sql.NullTime{Time: modified, Valid: known}, typed(a.uri))
}

// typed is a text or NULL as a parameter: not every engine takes a NULL that has no type.
func typed(value any) sql.NullString {
	text, known := value.(string)
	return sql.NullString{String: text, Valid: known}
}

// there reports whether there is a row.
func (t *tx) there(query string, args ...any) (bool, error) {
	var one int
	err := t.one(query, args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
