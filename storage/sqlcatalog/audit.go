package sqlcatalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Finding is what must never be found: rows that contradict each other.
type Finding struct {
	what  string
	count *Statement
}

// NewFinding is one of a dialect. Its query, with the words of Render, returns the numbers of the rows as Id.
func NewFinding(name, what, query string) Finding {
	return Finding{what, Own("audit-"+name, `SELECT {count}, MIN(x.Id) FROM (`+query+`) AS x`)}
}

// finding is one of every engine.
func finding(name, what, query string) Finding {
	f := NewFinding(name, what, query)
	all = append(all, f.count)
	return f
}

// segmentsOf sums an expression over all segments of a file f.
func segmentsOf(sum string) string {
	return `(SELECT ` + sum + ` FROM dbo.ModelLayers AS l INNER JOIN dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId WHERE l.ModelFileId = f.ModelFileId)
		+ (SELECT ` + sum + ` FROM dbo.FileSegments AS s WHERE s.ModelFileId = f.ModelFileId)`
}

const (
	filesOfModels = `SELECT f.ModelFileId AS Id FROM dbo.ModelFiles AS f INNER JOIN dbo.Models AS m ON m.ModelId = f.ModelId WHERE `
	notRemoving   = `COALESCE(m.State, 'complete') <> 'removing' AND `
)

// findings are those of every engine.
var findings = []Finding{
	finding("references", "atom with a wrong ReferenceCount",
		`SELECT AtomId AS Id FROM dbo.Atoms WHERE `+ours+noLayer+` AND ReferenceCount <> `+references),
	finding("bytes", "file of which the recorded bytes are not those of its rows",
		filesOfModels+notRemoving+`f.RecordedBytes <> `+segmentsOf(`COALESCE(SUM(s.ByteSize), 0)`)),
	finding("segments", "file of which the count of segments is not that of its rows",
		filesOfModels+notRemoving+`f.SegmentCount <> `+segmentsOf(`{count}`)),
	finding("shares", "file whose stored and shared bytes are not its recorded ones",
		filesOfModels+`f.BytesStored + f.BytesShared <> f.RecordedBytes`),
	finding("whole", "file of a complete model that is not whole", filesOfModels+`m.State = 'complete' AND (f.RecordedBytes <> f.ByteSize OR f.ContentHash IS NULL
		OR f.FileAtomId IS NULL OR f.ClaimedHash <> f.ContentHash)`),
	finding("open", "file of an open model that has an atom",
		filesOfModels+`m.State = 'open' AND f.FileAtomId IS NOT NULL`),
	finding("registered", "file of a registered model with segments, or without digest or atom",
		filesOfModels+`m.State = 'registered' AND (f.RecordedBytes <> 0 OR f.ContentHash IS NULL OR f.FileAtomId IS NULL)`),
	finding("content", "file whose atom is of other content", `SELECT f.ModelFileId AS Id FROM dbo.ModelFiles AS f INNER JOIN dbo.Atoms AS a ON a.AtomId = f.FileAtomId
		WHERE a.ContentHash <> f.ContentHash`),
	finding("layer-model", "layer of another model's file", `SELECT l.LayerId AS Id FROM dbo.ModelLayers AS l INNER JOIN dbo.ModelFiles AS f ON f.ModelFileId = l.ModelFileId
		WHERE f.ModelId <> l.ModelId`),
	finding("layer-file", "layer whose file is not there", `SELECT l.LayerId AS Id FROM dbo.ModelLayers AS l WHERE l.ModelFileId IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM dbo.ModelFiles AS f WHERE f.ModelFileId = l.ModelFileId)`),
	finding("layer-order", "model whose layers do not run on over its files", `SELECT l.LayerId AS Id FROM (SELECT x.LayerId, x.LayerIdx, x.ModelFileId,
			ROW_NUMBER() OVER (PARTITION BY x.ModelId ORDER BY x.LayerIdx, x.LayerId) - 1 AS Place
			FROM dbo.ModelLayers AS x INNER JOIN dbo.Models AS m ON m.ModelId = x.ModelId WHERE COALESCE(m.State, 'complete') <> 'removing') AS l
		WHERE l.ModelFileId IS NOT NULL AND l.LayerIdx <> l.Place`),
	finding("names", "file of another model, or none, under a name", `SELECT n.ModelNameId AS Id FROM dbo.ModelNames AS n INNER JOIN dbo.ModelNameFiles AS nf
		ON nf.ModelNameId = n.ModelNameId LEFT JOIN dbo.ModelFiles AS f ON f.ModelFileId = nf.ModelFileId INNER JOIN dbo.Models AS m ON m.ModelId = n.ModelId
		WHERE `+notRemoving+`(f.ModelId IS NULL OR f.ModelId <> n.ModelId)`),
}

// Audit looks for rows that contradict each other, and joins what it finds into the error. It is for a
// database at which
// nobody is at work.
func (c *Catalog) Audit(ctx context.Context) error {
	return c.readLong(ctx, func(t *Tx) error {
		var found []error
		for _, f := range append(c.dialect.Findings(), findings...) {
			var count int64
			var example sql.NullInt64
			err := t.One(f.count).Scan(&count, &example)
			if err != nil {
				return fmt.Errorf("looking for %s: %w", f.what, err)
			}
			if count > 0 {
				found = append(found, fmt.Errorf("%s: %d, such as number %d", f.what, count, example.Int64))
			}
		}
		return errors.Join(found...)
	})
}
