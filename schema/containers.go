package schema

import (
	"context"
	"fmt"
)

// MaxContainerFiles is how many files Microsoft advises at most in a FILESTREAM container: with more
// the file system is slow (KB 2160002).
const MaxContainerFiles = 300_000

// Filegroup is a FILESTREAM filegroup with values of the tables that ingest writes.
type Filegroup struct {
	Name       string
	Containers int64
	// Files counts the values. An empty value has a file, too; NULL has none. Not counted are the
	// files of other tables, and old files that the garbage collector has not deleted.
	Files int64
	// Segments is set if payloads of segments are here, and not only those of atoms.
	Segments bool
}

// selectContainers leaves out partitioned tables, whose data space is a partition scheme.
const selectContainers = `/* ingest: containers */ SELECT t.name, c.name, g.name,
	(SELECT COUNT(*) FROM sys.database_files AS f
		WHERE f.data_space_id = g.data_space_id AND f.type = 2 AND f.state = 0)
	FROM sys.tables AS t INNER JOIN sys.columns AS c ON c.object_id = t.object_id
		INNER JOIN sys.filegroups AS g ON g.data_space_id = t.filestream_data_space_id
	WHERE t.schema_id = SCHEMA_ID(N'dbo') AND c.is_filestream = 1 AND (t.name = N'Atoms' AND c.name = N'Payload'
		OR t.name IN (N'LayerTensorSegments', N'FileSegments') AND c.name = N'RawPayload')
	ORDER BY g.data_space_id, t.name`

// selectFiles does not wait for writers: the count need not be exact.
const selectFiles = `/* ingest: container-files */ SELECT COUNT_BIG(*) FROM dbo.%s WITH (READUNCOMMITTED)
	WHERE %s IS NOT NULL`

// Containers returns the FILESTREAM filegroups of payloads. There are none if the database has no
// FILESTREAM.
func Containers(ctx context.Context, db querier) ([]Filegroup, error) {
	server, err := Inspect(ctx, db)
	if err != nil || server.Filegroup == "" {
		return nil, err
	}
	type column struct {
		table, name string
		in          Filegroup
	}
	var columns []column
	rows, err := db.QueryContext(ctx, selectContainers)
	if err != nil {
		return nil, fmt.Errorf("reading the containers of FILESTREAM: %w", err)
	}
	defer rows.Close() // its error is in rows.Err
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.table, &c.name, &c.in.Name, &c.in.Containers); err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	var groups []Filegroup
	for _, c := range columns {
		if n := len(groups); n == 0 || groups[n-1].Name != c.in.Name {
			groups = append(groups, c.in)
		}
		g := &groups[len(groups)-1]
		var files int64
		err := db.QueryRowContext(ctx, fmt.Sprintf(selectFiles, Quote(c.table), Quote(c.name))).Scan(&files)
		if err != nil {
			return nil, fmt.Errorf("counting the FILESTREAM values of %s: %w", c.table, err)
		}
		g.Files += files
		g.Segments = g.Segments || c.table != "Atoms"
	}
	return groups, nil
}

// Planned returns the number of files once planned more segments are stored.
func (g *Filegroup) Planned(planned int64) int64 {
	if !g.Segments {
		return g.Files
	}
	return g.Files + planned
}

// Problem says what to do if the containers have too many files on average, or would have with
// planned more segments; empty if they have not.
func (g *Filegroup) Problem(planned int64) string {
	files := g.Planned(planned)
	missing := (files+MaxContainerFiles-1)/MaxContainerFiles - g.Containers
	if missing <= 0 {
		return ""
	}
	return fmt.Sprintf("Microsoft advises at most %d in each (KB 2160002): ingest with a larger --segment-size, or "+
		"add %d more first: ALTER DATABASE CURRENT ADD FILE (NAME = CONTAINER, FILENAME = 'FOLDER') TO FILEGROUP %s",
		MaxContainerFiles, missing, Quote(g.Name))
}
