package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
)

// row names the table of a piece and finds its row there. A number can be given
// out again when a model is removed, so the row must also hold what the piece says.
func row(piece ingest.Piece) (table, where string, args []any) {
	const content = ` AND AtomId = (SELECT AtomId FROM Atoms WHERE ContentHash = ?)`
	if piece.Layer == 0 {
		return `FileSegments`, ` WHERE FileSegmentId = ? AND ModelFileId = ? AND SegmentOrdinal = ?` + content,
			[]any{piece.RowID, piece.File, piece.Ordinal, piece.Digest[:]}
	}
	const tensor = ` WHERE LayerTensorSegmentId = ? AND LayerId = (SELECT LayerId FROM ModelLayers WHERE LayerId = ? AND ModelFileId = ?)
		AND SegmentOrdinal = ?`
	return `LayerTensorSegments`, tensor + content, []any{piece.RowID, piece.Layer, piece.File, piece.Ordinal, piece.Digest[:]}
}

func noRow(piece ingest.Piece) error {
	return fmt.Errorf("segment %d at %d of file %d: %w", piece.Ordinal, piece.Offset, piece.File, ingest.ErrNotFound)
}

// ReadPayload implements ingest.RowStore.
func (c *Catalog) ReadPayload(ctx context.Context, piece ingest.Piece, buffer []byte) ([]byte, error) {
	table, where, args := row(piece)
	rows, err := c.reader.QueryContext(ctx, `SELECT RawPayload FROM `+table+where, args...)
	if err != nil {
		return nil, c.explain(err)
	}
	defer rows.Close() // its error is in rows.Err
	if !rows.Next() {
		return nil, c.explain(errors.Join(rows.Err(), noRow(piece)))
	}
	var payload sql.RawBytes // the driver's own bytes: one copy less of megabytes
	if err := rows.Scan(&payload); err != nil {
		return nil, c.explain(err)
	}
	if len(payload) == 0 {
		return nil, c.explain(fmt.Errorf("segment %d at %d of file %d: %w in its row", piece.Ordinal, piece.Offset, piece.File, ingest.ErrNoPayload))
	}
	return append(buffer[:0], payload...), nil
}

// ReplacePayload implements ingest.RowStore. From then on the payload lies in
// the row, wherever it lay before.
func (c *Catalog) ReplacePayload(ctx context.Context, piece ingest.Piece, payload []byte) error {
	if got := ingest.Sum(payload); got != piece.Digest {
		return fmt.Errorf("segment %d at %d of file %d: payload has digest %s, want %s", piece.Ordinal, piece.Offset, piece.File, got, piece.Digest)
	}
	return c.place(ctx, piece, payload, ingest.Address{})
}

// Relocate implements ingest.Keeper. A payload that lay in the row does so no longer.
func (c *Catalog) Relocate(ctx context.Context, piece ingest.Piece, address ingest.Address) error {
	if address.URI == "" {
		return fmt.Errorf("segment %d at %d of file %d: the new address is empty", piece.Ordinal, piece.Offset, piece.File)
	}
	return c.place(ctx, piece, nil, address)
}

func (c *Catalog) place(ctx context.Context, piece ingest.Piece, payload []byte, address ingest.Address) error {
	return c.write(ctx, func(tx *tx) error {
		table, where, args := row(piece)
		a := addressColumns(address)
		changed, err := tx.exec(`UPDATE `+table+` SET BlobUri = ?, BlobContainer = ?, BlobName = ?, BlobETag = ?,
			BlobSizeBytes = ?, BlobLastModified = ?, RawPayload = ifnull(?, x'')`+where,
			append([]any{a[0], a[1], a[2], a[3], a[4], a[5], payload}, args...)...)
		if err == nil && changed == 0 {
			err = noRow(piece)
		}
		return err
	})
}
