package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// temporaryFiles returns how many files the process has open that have no name, as SQLite's
// temporary files have none.
func temporaryFiles(t *testing.T) (n int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs a system that lists the open files of a process")
	}
	for _, f := range open {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", f.Name()))
		if err == nil && strings.HasSuffix(target, "(deleted)") {
			n++
		}
	}
	return n
}

// A savepoint for a small transaction needs no temporary file.
func TestSavepointInMemory(t *testing.T) {
	g := openGrouped(t)
	fill := func(rows int) work {
		return func(t *sqlcatalog.Tx) error {
			return execute(t, `WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT ?)
				INSERT INTO Marks (Mark, Filler) SELECT x, zeroblob(3000) FROM n WHERE true
				ON CONFLICT DO UPDATE SET Filler = randomblob(3000)`, rows)
		}
	}
	g.succeeded([]error{g.write(fill(1000))()})
	var small, large int
	before := temporaryFiles(t)
	g.succeeded(g.writes(
		g.write(func(tx *sqlcatalog.Tx) error {
			err := fill(20)(tx)
			small = temporaryFiles(t) - before
			return err
		}),
		g.write(func(tx *sqlcatalog.Tx) error {
			err := fill(1000)(tx)
			large = temporaryFiles(t) - before
			return err
		}),
	))
	if small != 0 || large != 1 {
		t.Errorf("%d temporary files for 20 pages, want none, and %d for 1,000, want one", small, large)
	}
}
