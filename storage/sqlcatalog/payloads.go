package sqlcatalog

import (
	"context"

	"github.com/hartonomous/ingest/ingest"
)

// The row of a segment is found by its number. A number can be given out again when a model is removed, so the row must
// also hold what the segment says: @p1 to @p5 are those of rowOf.
const (
	tensorRow = ` WHERE LayerTensorSegmentId = @p1 AND LayerId = @p2 AND SegmentOrdinal = @p3
		AND AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WHERE a.ContentHash = @p4)
		AND EXISTS (SELECT 1 FROM dbo.ModelLayers AS l WHERE l.LayerId = @p2 AND l.ModelFileId = @p5)`
	fileRow = ` WHERE FileSegmentId = @p1 AND ModelFileId = @p5 AND SegmentOrdinal = @p3
		AND AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WHERE a.ContentHash = @p4) AND @p2 = 0`
)

// rowOf are the arguments by which the row of a segment is found.
func rowOf(s ingest.StoredSegment) []any {
	return []any{s.RowID, s.Layer, s.Ordinal, s.Digest[:], s.File}
}

// InRow is a statement about the row of one segment, in either of the two tables: the first text stands before the
// table's name, the second behind it. @p1 to @p5 say which row.
type InRow struct{ tensor, file *Statement }

// OfRow is a statement of a dialect about one row.
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

// Of returns the statement for the row of a segment, and all its arguments.
func (i InRow) Of(s ingest.StoredSegment, args ...any) (*Statement, []any) {
	statement := i.tensor
	if s.Layer == 0 {
		statement = i.file
	}
	return statement, append(rowOf(s), args...)
}

// Text is the text of one of the two statements.
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
		return aboutSegment(s, "%w", &ingest.SizeError{Want: int64(len(into)), Got: bytes})
	}
	return nil
}

// NoRow is how many bytes a payload has whose row is not there, and NoPayload the payload of an atom that has none.
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

// ReplacePayload implements ingest.RowPayloads. From then on the payload is in the row, wherever it was before.
func (c *Catalog) ReplacePayload(ctx context.Context, lease ingest.Lease, s ingest.StoredSegment,
	payload []byte) error {
	if err := checkPayload(s, payload); err != nil {
		return err
	}
	if done, err := c.dialect.ReplaceFile(ctx, lease, s, payload); done || err != nil {
		return err
	}
	return c.writeUnder(ctx, lease, func(t *Tx) error { return t.Place(s, payload, ingest.Address{}) })
}

// Relocate implements ingest.Maintenance. A payload that was in the row is there no longer.
func (c *Catalog) Relocate(ctx context.Context, lease ingest.Lease, s ingest.StoredSegment,
	address ingest.Address) error {
	if err := checkAddress(s, address); err != nil {
		return err
	}
	return c.writeUnder(ctx, lease, func(t *Tx) error { return t.Place(s, []byte{}, address) })
}

var (
	placePayload = sharedOfRow("place-payload", `UPDATE `, ` SET {setaddress 6}, RawPayload = @p7`, ``)
	// placeShared changes the rows that share the payload, by its atom: a seek in the index on AtomId, of
	// as many rows as there are.
	placeShared = [2]*Statement{shared("place-shared-tensors", `UPDATE dbo.LayerTensorSegments`+sharesPayload),
		shared("place-shared-files", `UPDATE dbo.FileSegments`+sharesPayload)}
)

const sharesPayload = ` SET {setaddress 2} WHERE AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WHERE a.ContentHash = @p1) AND BlobUri = @p3{ifwhole 2}`

// Place changes the row of a segment: its payload, which may be empty, and its address. The other rows of
// the payload that
// say that it is there are given the address as well.
func (t *Tx) Place(s ingest.StoredSegment, payload []byte, address ingest.Address) error {
	statement, args := placePayload.Of(s, address, payload)
	changed, err := t.Change(statement, args...)
	if err == nil && changed == 0 {
		err = noRow(s)
	}
	if err != nil || address.Name == "" {
		return err
	}
	for _, statement := range placeShared {
		if err := t.Exec(statement, s.Digest[:], address, address.URI); err != nil {
			return err
		}
	}
	return nil
}
