package sqlite

import "github.com/hartonomous/ingest/storage/sqlcatalog"

// copyTable has the addresses of payloads that are in their rows, too. The row of a segment has an
// address only if it has no payload: SQLite would write the whole row again, with its payload, to set
// an address. Triggers keep this true when another program writes; see schema step 3.
type copyTable struct{ name, kind, segments, id string }

var copyTables = []copyTable{
	{"TensorSegmentCopies", "tensor", "LayerTensorSegments", "LayerTensorSegmentId"},
	{"FileSegmentCopies", "file", "FileSegments", "FileSegmentId"},
}

// addTexts adds the statements that set or move an address. place-payload need not compare the
// address that was read in the same transaction.
func (c copyTable) addTexts(own map[string]string) {
	add := c.ofRow(`INSERT INTO `+c.name+` (SegmentId, {address}) SELECT `+c.id+`, `+
		addressList(func(name string) string { return "@p6" + name })+` FROM `, ``) +
		` AND length(RawPayload) = ByteSize ON CONFLICT DO NOTHING`
	own["add-address-"+c.kind], own["keep-address-"+c.kind] = add, add
	own["add-payload-"+c.kind] = c.ofRow(`UPDATE `, ` SET RawPayload = @p7, BlobSizeBytes = 0, BlobUri = NULL,
			BlobContainer = NULL, BlobName = NULL, BlobETag = NULL, BlobLastModified = NULL, Codec = NULL,
			StoredHash = NULL`) + ` AND {asread 6} AND length(RawPayload) = 0`
	own["clear-payload-"+c.kind] = c.ofRow(`UPDATE `, ` SET RawPayload = x''`) +
		` AND EXISTS (SELECT 1 FROM ` + c.name + ` WHERE SegmentId = ` + c.id + ` AND {asread 6})
			AND sha256_of(RawPayload) = @p4` // a trigger keeps the address
	own["drop-copy-"+c.kind] = `DELETE FROM ` + c.name + ` WHERE SegmentId = @p1`
	own["clear-address-"+c.kind] = `DELETE FROM ` + c.name + ` WHERE SegmentId = @p1 AND {asread 6}
		AND EXISTS (` + c.ofRow(`SELECT 1 FROM `, ``) + ` AND sha256_of(RawPayload) = @p4)`
	own["place-payload-"+c.kind] = c.ofRow(`UPDATE `, ` SET {setaddress 6}, RawPayload = @p7`)
	own["place-shared-copies-"+c.kind] = `UPDATE ` + c.name + ` SET {setaddress 2} WHERE {aturi 3}
		AND SegmentId IN (SELECT s.` + c.id + ` FROM Atoms AS a JOIN ` + c.segments + ` AS s ON s.AtomId = a.AtomId
			WHERE a.ContentHash = @p1 AND s.BlobUri IS NULL AND length(s.RawPayload) > 0)`
}

// ofRow is the text of a statement about the row of a segment, for further conditions.
func (c copyTable) ofRow(before, after string) string {
	return sqlcatalog.OfRow("", before, after).Text(c.kind == "tensor")
}

func addressList(each func(name string) string) string {
	return sqlcatalog.Join(sqlcatalog.AddressNames(), each)
}

// columnOf selects a column of the address of a segment of a kind, from the copy if the payload is
// in the row.
func columnOf(kind, segment, name string) string {
	c := copyTables[0]
	if kind != c.kind {
		c = copyTables[1]
	}
	text := `CASE WHEN ` + segment + `.BlobUri IS NOT NULL OR length(` + segment + `.RawPayload) = 0
		THEN ` + segment + `.` + name + `
		ELSE (SELECT c.` + name + ` FROM ` + c.name + ` AS c WHERE c.SegmentId = ` + segment + `.` + c.id + `) END`
	if name == "BlobSizeBytes" {
		text = `ifnull(` + text + `, 0)`
	}
	return text
}

// adopt does not set the address: keep-address does.
const adopt = `UPDATE LayerTensorSegments
	SET AtomId = (SELECT a.AtomId FROM Atoms AS a WHERE a.ContentHash = @p4), ByteSize = @p5
	WHERE ` + sqlcatalog.Adoptable + `
		AND NOT EXISTS (SELECT 1 FROM TensorSegmentCopies WHERE SegmentId = LayerTensorSegmentId)`

// referenced adds the payloads of the copies to those that rows need.
func referenced() string {
	text := sqlcatalog.Referenced
	for _, c := range copyTables {
		text += ` UNION SELECT a.ContentHash, {blobname c}, c.StoredHash FROM Atoms AS a
			JOIN ` + c.segments + ` AS s ON s.AtomId = a.AtomId JOIN ` + c.name + ` AS c ON c.SegmentId = s.` + c.id + `
			WHERE a.ContentHash IN ({digests})`
	}
	return text
}
