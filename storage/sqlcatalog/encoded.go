package sqlcatalog

import (
	"cmp"
	"context"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// rowsOfContent selects the addresses of at most 16 rows with the content @p1: thousands of rows
// may have the same padding.
func rowsOfContent(kind, table string) string {
	return `SELECT x.* FROM (SELECT {top 16} {addressof ` + kind + ` s} FROM ` + table + ` AS s
		WHERE s.AtomId = (SELECT a.AtomId FROM dbo.Atoms AS a WHERE a.ContentHash = @p1) {limit 16}) AS x`
}

var addressesOf = shared("addresses",
	rowsOfContent("tensor", "dbo.LayerTensorSegments")+` UNION ALL `+rowsOfContent("file", "dbo.FileSegments"))

// Addresses implements ingest.Reader.
func (c *Catalog) Addresses(ctx context.Context, digest ingest.Digest) (all []ingest.Address, err error) {
	err = c.read(ctx, func(t *Tx) error {
		all = nil
		return t.Each(func(row Scanner) error {
			var a ingest.Address
			err := row.Scan(&a)
			if a.URI != "" && !slices.Contains(all, a) {
				all = append(all, a)
			}
			return err
		}, addressesOf, digest[:])
	})
	return all, err
}

// encodedRows selects the segments s of a kind.
func encodedRows(kind, elements, bytes, from string) string {
	codec := `{columnof ` + kind + ` s Codec}`
	return `SELECT ` + elements + ` AS Elements, COALESCE(` + codec + `, '') AS Codec, ` + bytes + ` AS Bytes,
		CASE WHEN ` + codec + ` IS NULL THEN ` + bytes + ` ELSE {columnof ` + kind + ` s BlobSizeBytes} END AS Stored
		FROM ` + from
}

var encodedBytes = shared("encoded-bytes", `SELECT r.Elements, r.Codec, {count}, {sum r.Bytes}, {sum r.Stored} FROM (`+
	encodedRows("tensor", "s.QuantizationType", "COALESCE(s.ByteSize, {bytes s.RawPayload})", tensorsOf+` = @p1`)+`
	UNION ALL `+encodedRows("file", "''", "s.ByteSize", filesIn+` = @p1`)+`) AS r GROUP BY r.Elements, r.Codec`)

// TypeBytes implements ingest.Reader. It sorts the rows itself, because collations differ.
func (c *Catalog) TypeBytes(ctx context.Context, model ingest.ModelID) (all []ingest.TypeBytes, err error) {
	err = c.readLong(ctx, func(t *Tx) error {
		all = nil
		err := t.Each(func(row Scanner) error {
			var e ingest.TypeBytes
			err := row.Scan(&e.Type, &e.Codec, &e.Segments, &e.Bytes, &e.Stored)
			all = append(all, e)
			return err
		}, encodedBytes, model)
		if err == nil && len(all) == 0 {
			err = t.mustBeThere(modelThere, "model", int64(model))
		}
		return err
	})
	slices.SortFunc(all, func(a, b ingest.TypeBytes) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Codec, b.Codec))
	})
	return all, err
}
