package sqlserver

import (
	"context"
	"database/sql"
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

const pieceColumns = `a.ContentHash, s.SegmentOrdinal, s.ByteOffset, s.ByteSize, CASE WHEN DATALENGTH(s.RawPayload) > 0 THEN 1 ELSE 0 END,
	s.BlobUri, s.BlobContainer, s.BlobName, s.BlobETag, s.BlobSizeBytes, s.BlobLastModified, s.AddressExact`

// tensorPieces returns the pieces after last, which may lie in the midst of a
// layer. Layers by their offset, and the segments of each, come out of the indexes in file order.
func (c *Catalog) tensorPieces(ctx context.Context, file ingest.FileID, last ingest.StoredSegment) ([]ingest.StoredSegment, error) {
	return c.piecesOf(ctx, file, `/* ingest: tensor-pieces */ DECLARE @from bigint = COALESCE((SELECT ByteOffset FROM dbo.ModelLayers WHERE LayerId = @p2), -1);
		SELECT TOP (@p4) s.LayerTensorSegmentId, l.LayerId, l.LayerName, l.LayerNameExact, `+pieceColumns+`
		FROM dbo.ModelLayers AS l INNER JOIN dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId INNER JOIN dbo.Atoms AS a ON a.AtomId = s.AtomId
		WHERE l.ModelFileId = @p1 AND l.ByteOffset >= @from
			AND (l.ByteOffset > @from OR l.LayerId > @p2 OR l.LayerId = @p2 AND s.SegmentOrdinal > @p3)
		ORDER BY l.ByteOffset, l.LayerId, s.SegmentOrdinal`, last.Layer, last.Ordinal)
}

func (c *Catalog) otherPieces(ctx context.Context, file ingest.FileID, last ingest.StoredSegment) ([]ingest.StoredSegment, error) {
	after := last.Ordinal
	if last.RowID == 0 {
		after = -1
	}
	return c.piecesOf(ctx, file, `/* ingest: file-pieces */ SELECT TOP (@p4) s.FileSegmentId, @p2, NULL, NULL, `+pieceColumns+`
		FROM dbo.FileSegments AS s INNER JOIN dbo.Atoms AS a ON a.AtomId = s.AtomId
		WHERE s.ModelFileId = @p1 AND s.SegmentOrdinal > @p3 ORDER BY s.SegmentOrdinal`, 0, after)
}

// piecesOf reads a page. That the file still exists is asked each time, so that
// a sequence over one that is removed meanwhile ends with an error.
func (c *Catalog) piecesOf(ctx context.Context, file ingest.FileID, query string, layer ingest.LayerID, after int) (page []ingest.StoredSegment, err error) {
	err = c.read(ctx, func(tx *tx) error {
		page = page[:0]
		there, err := tx.there(`/* ingest: file-there */ SELECT 1 FROM dbo.ModelFiles WHERE ModelFileId = @p1`, int64(file))
		if err != nil {
			return err
		}
		if !there {
			return fmt.Errorf("file %d: %w", file, ingest.ErrNotFound)
		}
		return tx.each(func(rows *sql.Rows) error {
			piece, err := scanPiece(rows)
			piece.File = file
			page = append(page, piece)
			return err
		}, query, int64(file), int64(layer), after, storage.PageRows)
	})
	return page, err
}

func scanPiece(rows *sql.Rows) (ingest.StoredSegment, error) {
	var p ingest.StoredSegment
	var digest []byte
	var tensor exact
	var a scannedAddress
	err := rows.Scan(append([]any{&p.RowID, &p.Layer, &tensor.text, &tensor.bytes, &digest, &p.Ordinal, &p.Offset, &p.Bytes, &p.InRow}, a.fields()...)...)
	copy(p.Digest[:], digest)
	p.Tensor, p.Address = tensor.String(), a.address()
	return p, err
}
