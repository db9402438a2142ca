package sqlcatalog

import (
	"maps"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// ModelFiles.BytesSaved is the sum of what the encoded payloads of a file's segments save. Each
// verb that changes an address adds the difference: a count of all rows for each of 20,000 segments
// would take minutes.

// bytesSaved returns what the payload at an address saves of a segment.
func bytesSaved(bytes int64, address ingest.Address) int64 {
	if address.Codec == "" {
		return 0
	}
	return bytes - address.Bytes
}

// savedBy is bytesSaved for a segment s of a kind.
func savedBy(kind string) string {
	return `CASE WHEN {columnof ` + kind + ` s Codec} IS NULL THEN 0
		ELSE s.ByteSize - {columnof ` + kind + ` s BlobSizeBytes} END`
}

// savedIn adds up savedBy for all segments of a file.
func savedIn(file string) string {
	return `(SELECT COALESCE(SUM(` + savedBy("tensor") + `), 0) FROM dbo.ModelLayers AS l
			INNER JOIN dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId WHERE l.ModelFileId = ` + file + `)
		+ (SELECT COALESCE(SUM(` + savedBy("file") + `), 0) FROM dbo.FileSegments AS s
			WHERE s.ModelFileId = ` + file + `)`
}

var (
	addSaved   = shared("add-saved", `UPDATE dbo.ModelFiles SET BytesSaved = BytesSaved + @p2 WHERE ModelFileId = @p1`)
	countSaved = shared("count-saved",
		`UPDATE dbo.ModelFiles SET BytesSaved = `+savedIn("ModelFiles.ModelFileId")+` WHERE ModelFileId = @p1`)
)

// savings are changes of BytesSaved, by file.
type savings map[ingest.FileID]int64

// addSaved changes BytesSaved, in the order of the files' numbers. File 0 stands for tensors that
// belong to no file.
func (t *Tx) addSaved(by savings) error {
	for _, file := range slices.Sorted(maps.Keys(by)) {
		if file == 0 || by[file] == 0 {
			continue
		}
		if err := t.Exec(addSaved, file, by[file]); err != nil {
			return err
		}
	}
	return nil
}
