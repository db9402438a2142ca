package sqlcatalog

import (
	"context"

	"github.com/hartonomous/ingest/ingest"
)

// The row of a segment is found by its number. As a number can be reused after a model is removed,
// the row must also match the segment: @p1 to @p5 are the arguments of rowOf. Without a digest (@p4
// is NULL), the row has no atom either.
const (
	tensorRow = ` WHERE LayerTensorSegmentId = @p1 AND LayerId = @p2 AND SegmentOrdinal = @p3
		AND (AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WHERE a.ContentHash = @p4)
			OR @p4 IS NULL AND AtomId IS NULL)
		AND EXISTS (SELECT 1 FROM dbo.ModelLayers AS l WHERE l.LayerId = @p2 AND COALESCE(l.ModelFileId, 0) = @p5)`
	fileRow = ` WHERE FileSegmentId = @p1 AND ModelFileId = @p5 AND SegmentOrdinal = @p3
		AND AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WHERE a.ContentHash = @p4) AND @p2 = 0`
)

// rowOf returns the arguments that identify the row of a segment.
func rowOf(s ingest.StoredSegment) []any {
	return []any{s.RowID, s.Layer, s.Ordinal, digestColumn(s.Digest), s.File}
}

// InRow is a statement about the row of one segment in either table. @p1 to @p5 identify the row.
type InRow struct{ tensor, file *Statement }

// OfRow makes an InRow for a dialect. The table's name goes between before and after.
func OfRow(name, before, after string) InRow {
	return InRow{Own(name+"-tensor", before+"dbo.LayerTensorSegments"+after+tensorRow),
		Own(name+"-file", before+"dbo.FileSegments"+after+fileRow)}
}

// sharedOfRow is OfRow for every engine, with a further condition.
func sharedOfRow(name, before, after, condition string) InRow {
	s := OfRow(name, before, after)
	s.tensor.text += condition
	s.file.text += condition
	all = append(all, s.tensor, s.file)
	return s
}

// differsOfRow is an InRow that each dialect has its own texts for.
func differsOfRow(name string) InRow {
	return InRow{differs(name + "-tensor"), differs(name + "-file")}
}

// Of returns the statement for the row of a segment, and all its arguments.
func (i InRow) Of(s ingest.StoredSegment, args ...any) (*Statement, []any) {
	statement := i.tensor
	if s.Layer == 0 {
		statement = i.file
	}
	return statement, append(rowOf(s), args...)
}

// Text returns the text of one of the two statements.
func (i InRow) Text(tensor bool) string {
	if tensor {
		return i.tensor.text
	}
	return i.file.text
}

// ReadPayload implements ingest.RowPayloads.
func (c *Catalog) ReadPayload(ctx context.Context, s ingest.StoredSegment, into []byte) error {
	bytes, err := c.dialect.ReadPayload(ctx, s, into)
	switch {
	case err != nil:
		return err
	case bytes == NoRow:
		return noRow(s)
	case bytes == 0:
		return noPayload(s)
	case bytes != int64(len(into)):
		return &ingest.SizeError{Where: rowName(s), Want: int64(len(into)), Got: bytes}
	}
	return nil
}

// SmallPayload implements ingest.Writer.
func (c *Catalog) SmallPayload() int64 { return c.dialect.SmallPayload() }

// NoRow is the payload's size if the row does not exist, and NoPayload that of an atom without a
// payload.
const (
	NoRow     = -1
	NoPayload = -2
)

var hashPayload = sharedOfRow("hash-payload", `SELECT {bytes RawPayload}, {sha256 RawPayload} FROM `, ``, ``)

// HashPayload implements ingest.RowPayloads.
func (c *Catalog) HashPayload(ctx context.Context, s ingest.StoredSegment) (digest ingest.Digest, err error) {
	statement, args := hashPayload.Of(s)
	err = c.read(ctx, func(t *Tx) error {
		var bytes int64
		var sum []byte
		there, err := t.found(t.One(statement, args...), &bytes, &sum)
		switch {
		case err != nil:
			return err
		case !there:
			return noRow(s)
		case bytes == 0:
			return noPayload(s)
		}
		copy(digest[:], sum)
		return nil
	})
	return digest, err
}

// ReplacePayload implements ingest.RowPayloads. It clears the row's address.
func (c *Catalog) ReplacePayload(ctx context.Context, lease ingest.Lease, s ingest.StoredSegment,
	payload []byte) error {
	if err := checkPayload(s, payload); err != nil {
		return err
	}
	if done, err := c.dialect.Replace(ctx, lease, s, payload); done || err != nil {
		return err
	}
	return c.writeUnder(ctx, lease, func(t *Tx) error { return t.Place(s, payload, ingest.Address{}) })
}
