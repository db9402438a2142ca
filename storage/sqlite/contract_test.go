package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlite"
)

func TestCatalog(t *testing.T) { catalogtest.Run(t, fresh) }

func TestRowStore(t *testing.T) { catalogtest.Rows(t, fresh) }

func fresh(t *testing.T) catalogtest.Database {
	path := filepath.Join(t.TempDir(), "catalogue.db")
	return func(t *testing.T) ingest.Catalog { return open(t, path) }
}

func open(t *testing.T, path string) *sqlite.Catalog {
	t.Helper()
	c, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
