package sqlcatalog

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/hartonomous/ingest/ingest"
)

// segmentColumns are the columns of a segment s with its atom a, after its number and layer, but for
// its address.
const (
	segmentColumns = `a.ContentHash, s.SegmentOrdinal, s.ByteOffset, s.ByteSize, ` + inRowColumn
	// inRowColumn is 1 for a payload in its row, 2 for a small one that rows share, and 0 for others.
	inRowColumn = `CASE WHEN {bytes s.RawPayload} > 0 THEN 1 WHEN {small s} THEN 2 ELSE 0 END, `
)

const tensorSegments = ` s.LayerTensorSegmentId, l.LayerId, {read l.LayerName}, l.ByteOffset, ` + segmentColumns +
	`{addressof tensor s}
	FROM dbo.ModelLayers AS l {then} dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId
	{then} dbo.Atoms AS a ON a.AtomId = s.AtomId
	WHERE l.ModelFileId = @p1`

const fileSegments = ` s.FileSegmentId, 0, {notext}, 0, ` + segmentColumns + `{addressof file s}
	FROM dbo.FileSegments AS s {then} dbo.Atoms AS a ON a.AtomId = s.AtomId WHERE s.ModelFileId = @p1`

var (
	// tensorPage continues after segment @p4 of layer @p3, which begins at byte @p2 of the file,
	// but not before byte @p6. The indexes return layers by offset, and the segments of each in
	// file order, so the cost of a page does not depend on the size of the file. Where to begin
	// within a layer is an expression of the layer, without OR: a seek for each layer. All segments
	// of a tensor but the last, which may be shorter, are as long as its first one, which tells
	// where byte @p6 is.
	tensorPage = shared("tensor-segments", `SELECT {top @p5}`+tensorSegments+`
		AND l.ByteOffset >= @p2 AND (l.ByteOffset > @p2 OR l.LayerId >= @p3) AND l.ByteOffset + l.ByteSize > @p6
		AND s.SegmentOrdinal > CAST(CASE WHEN l.LayerId = @p3 THEN @p4 WHEN @p6 > l.ByteOffset THEN
			(@p6 - l.ByteOffset) / COALESCE((SELECT z.ByteSize FROM dbo.LayerTensorSegments AS z
				WHERE z.LayerId = l.LayerId AND z.SegmentOrdinal = 0), @p7) - 1 ELSE -1 END AS int)
		AND s.ByteOffset + s.ByteSize > @p6
		ORDER BY l.ByteOffset, l.LayerId, s.SegmentOrdinal {limit @p5}`)
	// filePage continues after byte @p2 or, if that is negative, from the segment that holds byte
	// @p4.
	filePage = shared("file-segments", `SELECT {top @p3}`+fileSegments+`
		AND s.ByteOffset > CASE WHEN @p2 >= 0 THEN @p2 ELSE
			COALESCE((SELECT MAX(z.ByteOffset) FROM dbo.FileSegments AS z
				WHERE z.ModelFileId = @p1 AND z.ByteOffset <= @p4), 0) - 1 END
		AND s.ByteOffset + s.ByteSize > @p4
		ORDER BY s.ByteOffset {limit @p3}`)
	// unfiledPage continues after segment @p4 of layer @p3, whose index is @p2. Each layer is a seek,
	// as in tensorPage. Without an atom, nobody has compared ByteSize with the payload.
	unfiledPage = shared("unfiled-segments", `SELECT {top @p5} s.LayerTensorSegmentId, l.LayerId, {read l.LayerName},
			l.LayerIdx, a.ContentHash, s.SegmentOrdinal, 0, CASE WHEN s.AtomId IS NULL THEN {bytes s.RawPayload}
				ELSE COALESCE(s.ByteSize, {bytes s.RawPayload}) END, `+inRowColumn+`{addressof tensor s}
		FROM dbo.ModelLayers AS l {then} dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId
		LEFT JOIN dbo.Atoms AS a ON a.AtomId = s.AtomId
		WHERE l.ModelId = @p1 AND l.ModelFileId IS NULL
		AND l.LayerIdx >= @p2 AND (l.LayerIdx > @p2 OR l.LayerId >= @p3)
		AND s.SegmentOrdinal > CAST(CASE WHEN l.LayerId = @p3 THEN @p4 ELSE -1 END AS int)
		ORDER BY l.LayerIdx, l.LayerId, s.SegmentOrdinal {limit @p5}`)
	fileThere = shared("file-there", `SELECT 1 FROM dbo.ModelFiles WHERE ModelFileId = @p1`)
	// The last segments are read from the end of the indexes.
	lastTensorSegment = shared("last-tensor-segment", `SELECT {top 1}`+tensorSegments+`
		ORDER BY l.ByteOffset DESC, l.LayerId DESC, s.SegmentOrdinal DESC {limit 1}`)
	lastFileSegment = shared("last-file-segment",
		`SELECT {top 1}`+fileSegments+` ORDER BY s.ByteOffset DESC {limit 1}`)
)

// Segments implements ingest.Reader. The segments of tensors and the others are in two tables; each
// is read in file order, and the two are merged.
func (c *Catalog) Segments(ctx context.Context, file ingest.FileID, from int64) iter.Seq2[ingest.StoredSegment, error] {
	layerAt := int64(-1) // offset of the last segment's layer
	return inFileOrder(
		func(last ingest.StoredSegment) (page []ingest.StoredSegment, err error) {
			after := int64(-1)
			if last.RowID != 0 {
				after = layerAt
			}
			page, layerAt, err = c.segments(ctx, file, tensorPage, file, after, last.Layer, last.Ordinal, pageRows,
				from, int64(math.MaxInt64))
			return page, err
		},
		func(last ingest.StoredSegment) (page []ingest.StoredSegment, err error) {
			after := last.Offset
			if last.RowID == 0 {
				after = -1
			}
			page, _, err = c.segments(ctx, file, filePage, file, after, pageRows, from)
			return page, err
		},
	)
}

// TensorSegments implements ingest.Reader.
func (c *Catalog) TensorSegments(ctx context.Context, model ingest.ModelID) iter.Seq2[ingest.StoredSegment, error] {
	layerIdx := int64(-1) // of the last segment
	return paged(func(last ingest.StoredSegment) (page []ingest.StoredSegment, err error) {
		if last.RowID == 0 {
			layerIdx = -1
		}
		err = c.read(ctx, func(t *Tx) error {
			page = page[:0]
			at := layerIdx
			err := t.Each(func(row Scanner) error {
				segment, index, err := scanSegment(row)
				page, at = append(page, segment), index
				return err
			}, unfiledPage, model, layerIdx, last.Layer, last.Ordinal, pageRows)
			if err == nil && len(page) == 0 {
				err = t.mustBeThere(modelThere, "model", int64(model))
			}
			if err == nil {
				layerIdx = at
			}
			return err
		})
		return page, err
	})
}

// segments reads a page and the offset of its last segment's layer.
func (c *Catalog) segments(ctx context.Context, file ingest.FileID, s *Statement,
	args ...any) (page []ingest.StoredSegment, layerAt int64, err error) {
	err = c.read(ctx, func(t *Tx) error {
		page = page[:0]
		err := t.Each(func(row Scanner) error {
			segment, at, err := scanSegment(row)
			segment.File = file
			page, layerAt = append(page, segment), at
			return err
		}, s, args...)
		if err == nil && len(page) == 0 {
			err = t.mustBeThere(fileThere, "file", int64(file))
		}
		return err
	})
	return page, layerAt, err
}

func scanSegment(row Scanner) (s ingest.StoredSegment, layerAt int64, err error) {
	var digest []byte
	var inRow int
	err = row.Scan(&s.RowID, &s.Layer, readText(&s.Tensor), &layerAt, &digest, &s.Ordinal, &s.Offset, &s.Bytes,
		&inRow, &s.Address)
	copy(s.Digest[:], digest)
	s.InRow, s.Small = inRow > 0, inRow == 2
	return s, layerAt, err
}

// LastSegment implements ingest.Reader.
func (c *Catalog) LastSegment(ctx context.Context, file ingest.FileID) (last ingest.StoredSegment, err error) {
	err = c.read(ctx, func(t *Tx) error {
		last = ingest.StoredSegment{}
		for _, s := range []*Statement{lastTensorSegment, lastFileSegment} {
			err := t.Each(func(row Scanner) error {
				segment, _, err := scanSegment(row)
				if last.RowID == 0 || segment.Offset > last.Offset {
					last = segment
				}
				return err
			}, s, file)
			if err != nil {
				return err
			}
		}
		if last.File = file; last.RowID == 0 {
			return fmt.Errorf("segments of file %d: %w", file, ingest.ErrNotFound)
		}
		return nil
	})
	return last, err
}
