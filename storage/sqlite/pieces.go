package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// Pieces implements ingest.Reader. The segments of tensors and the others are
// in two tables: each is read in file order, and the two are merged.
func (c *Catalog) Segments(ctx context.Context, file ingest.FileID) iter.Seq2[ingest.StoredSegment, error] {
	return storage.InFileOrder(
		func(last ingest.StoredSegment) ([]ingest.StoredSegment, error) {
			return c.tensorPieces(ctx, file, last)
		},
		func(last ingest.StoredSegment) ([]ingest.StoredSegment, error) { return c.otherPieces(ctx, file, last) },
	)
}

const pieceColumns = `a.ContentHash, s.SegmentOrdinal, s.ByteOffset, s.ByteSize, s.BlobUri, s.BlobContainer, s.BlobName,
	s.BlobETag, s.BlobSizeBytes, s.BlobLastModified, length(s.RawPayload) > 0`

// selectTensorPieces reads on after a segment in the midst of a layer. CROSS JOIN
// keeps the order of the tables: layers by their offset, and the segments of
// each, come out of the indexes in file order.
const selectTensorPieces = `SELECT s.LayerTensorSegmentId, l.LayerId, coalesce(l.LayerName, ''), ` + pieceColumns + `
		FROM ModelLayers l CROSS JOIN LayerTensorSegments s ON s.LayerId = l.LayerId CROSS JOIN Atoms a ON a.AtomId = s.AtomId
		WHERE l.ModelFileId = ?1
			AND (l.ByteOffset, l.LayerId) >= (coalesce((SELECT ByteOffset FROM ModelLayers WHERE LayerId = ?2), -1), ?2)
			AND s.SegmentOrdinal > iif(l.LayerId = ?2, ?3, -1)
		ORDER BY l.ByteOffset, l.LayerId, s.SegmentOrdinal LIMIT ?4`

const selectOtherPieces = `SELECT s.FileSegmentId, 0, '', ` + pieceColumns + `
		FROM FileSegments s CROSS JOIN Atoms a ON a.AtomId = s.AtomId
		WHERE s.ModelFileId = ?1 AND ?2 IS NOT NULL AND s.SegmentOrdinal > ?3 ORDER BY s.SegmentOrdinal LIMIT ?4`

func (c *Catalog) tensorPieces(ctx context.Context, file ingest.FileID, last ingest.StoredSegment) ([]ingest.StoredSegment, error) {
	return c.piecesOf(ctx, file, selectTensorPieces, last.Layer, last.Ordinal)
}

func (c *Catalog) otherPieces(ctx context.Context, file ingest.FileID, last ingest.StoredSegment) ([]ingest.StoredSegment, error) {
	after := last.Ordinal
	if last.RowID == 0 {
		after = -1
	}
	return c.piecesOf(ctx, file, selectOtherPieces, 0, after)
}

// piecesOf reads a page. That the file still exists is asked each time, so that
// a sequence over one that is removed meanwhile ends with an error.
func (c *Catalog) piecesOf(ctx context.Context, file ingest.FileID, query string, layer ingest.LayerID, after int) (page []ingest.StoredSegment, err error) {
	err = c.read(ctx, func(tx *tx) error {
		var there int
		err := tx.one(`SELECT 1 FROM ModelFiles WHERE ModelFileId = ?`, file).Scan(&there)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("file %d: %w", file, ingest.ErrNotFound)
		}
		if err != nil {
			return err
		}
		return tx.each(func(rows *sql.Rows) error {
			piece, err := scanPiece(rows)
			piece.File = file
			page = append(page, piece)
			return err
		}, query, file, layer, after, storage.PageRows)
	})
	return page, err
}

func scanPiece(rows *sql.Rows) (ingest.StoredSegment, error) {
	var p ingest.StoredSegment
	var digest []byte
	var uri, container, name, etag, modified sql.NullString
	err := rows.Scan(&p.RowID, &p.Layer, &p.Tensor, &digest, &p.Ordinal, &p.Offset, &p.Bytes,
		&uri, &container, &name, &etag, &p.Address.Bytes, &modified, &p.InRow)
	if err != nil {
		return p, err
	}
	copy(p.Digest[:], digest)
	p.Address.URI, p.Address.Container, p.Address.Name, p.Address.ETag = uri.String, container.String, name.String, etag.String
	p.Address.Modified, err = parseTime(modified)
	return p, err
}
