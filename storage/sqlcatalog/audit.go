package sqlcatalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Finding is a query for rows that contradict each other.
type Finding struct {
	what  string
	count *Statement
}

// NewFinding is for the findings of a dialect. The query returns row numbers as Id; see Render for
// its words.
func NewFinding(name, what, query string) Finding {
	return Finding{what, Own("audit-"+name, `SELECT {count}, MIN(x.Id) FROM (`+query+`) AS x`)}
}

// finding is a finding that every engine has.
func finding(name, what, query string) Finding {
	f := NewFinding(name, what, query)
	all = append(all, f.count)
	return f
}

// segmentsOf applies an aggregate to all segments of file f.
func segmentsOf(sum string) string {
	return `(SELECT ` + sum + ` FROM dbo.ModelLayers AS l
			INNER JOIN dbo.LayerTensorSegments AS s ON s.LayerId = l.LayerId WHERE l.ModelFileId = f.ModelFileId)
		+ (SELECT ` + sum + ` FROM dbo.FileSegments AS s WHERE s.ModelFileId = f.ModelFileId)`
}

const (
	filesOfModels = `SELECT f.ModelFileId AS Id FROM dbo.ModelFiles AS f
		INNER JOIN dbo.Models AS m ON m.ModelId = f.ModelId WHERE `
	notRemoving = `COALESCE(m.State, 'complete') <> 'removing' AND `
)

// findings are those that every engine has.
var findings = []Finding{
	finding("references", "atom with a wrong ReferenceCount",
		`SELECT AtomId AS Id FROM dbo.Atoms WHERE `+ours+noLayer+` AND ReferenceCount <> `+references),
	finding("bytes", "file whose recorded bytes differ from its rows",
		filesOfModels+notRemoving+`f.RecordedBytes <> `+segmentsOf(`COALESCE(SUM(s.ByteSize), 0)`)),
	finding("segments", "file whose count of segments differs from its rows",
		filesOfModels+notRemoving+`f.SegmentCount <> `+segmentsOf(`{count}`)),
	finding("saved", "file with a wrong BytesSaved",
		filesOfModels+notRemoving+`f.BytesSaved <> `+savedIn("f.ModelFileId")),
	finding("shares", "file whose stored and shared bytes do not add up to its recorded bytes",
		filesOfModels+`f.BytesStored + f.BytesShared <> f.RecordedBytes`),
	finding("whole", "incomplete file of a complete model", filesOfModels+`m.State = 'complete'
		AND (f.RecordedBytes <> f.ByteSize OR f.ContentHash IS NULL
			OR f.FileAtomId IS NULL OR f.ClaimedHash <> f.ContentHash)`),
	finding("open", "file of an open model that has an atom",
		filesOfModels+`m.State = 'open' AND f.FileAtomId IS NOT NULL`),
	finding("registered", "file of a registered model with segments, or without digest or atom", filesOfModels+`
		m.State = 'registered' AND (f.RecordedBytes <> 0 OR f.ContentHash IS NULL OR f.FileAtomId IS NULL)`),
	finding("content", "file whose atom has other content", `SELECT f.ModelFileId AS Id FROM dbo.ModelFiles AS f
		INNER JOIN dbo.Atoms AS a ON a.AtomId = f.FileAtomId WHERE a.ContentHash <> f.ContentHash`),
	finding("layer-model", "layer in a file of another model", `SELECT l.LayerId AS Id FROM dbo.ModelLayers AS l
		INNER JOIN dbo.ModelFiles AS f ON f.ModelFileId = l.ModelFileId WHERE f.ModelId <> l.ModelId`),
	finding("layer-file", "layer whose file is missing", `SELECT l.LayerId AS Id FROM dbo.ModelLayers AS l
		WHERE l.ModelFileId IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM dbo.ModelFiles AS f WHERE f.ModelFileId = l.ModelFileId)`),
	finding("layer-order", "model whose layers are not numbered consecutively", `SELECT l.LayerId AS Id
		FROM (SELECT x.LayerId, x.LayerIdx, x.ModelFileId,
				ROW_NUMBER() OVER (PARTITION BY x.ModelId ORDER BY x.LayerIdx, x.LayerId) - 1 AS Place
			FROM dbo.ModelLayers AS x INNER JOIN dbo.Models AS m ON m.ModelId = x.ModelId
			WHERE COALESCE(m.State, 'complete') <> 'removing') AS l
		WHERE l.ModelFileId IS NOT NULL AND l.LayerIdx <> l.Place`),
	finding("names", "name that covers a file of another model or none", `SELECT n.ModelNameId AS Id
		FROM dbo.ModelNames AS n
		INNER JOIN dbo.ModelNameFiles AS nf ON nf.ModelNameId = n.ModelNameId
		LEFT JOIN dbo.ModelFiles AS f ON f.ModelFileId = nf.ModelFileId
		INNER JOIN dbo.Models AS m ON m.ModelId = n.ModelId
		WHERE `+notRemoving+`(f.ModelId IS NULL OR f.ModelId <> n.ModelId)`),
}

// Audit looks for rows that contradict each other and returns what it finds as a joined error. Run
// it only while no job is running.
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
