// Package sqlitetest opens SQLite catalogues for tests.
package sqlitetest

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hartonomous/ingest/storage/sqlite"
)

// empty makes an empty SQLite catalogue once, and returns its file.
var empty = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "catalogue")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder) // an error leaves a temporary folder
	path := filepath.Join(folder, "catalogue.db")
	c, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := c.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// Open opens the catalogue at path until the end of the test. A new one is a copy of an empty one, with an
// identity of its own: all schema steps take a quarter of a second with the race detector.
func Open(t testing.TB, path string) *sqlite.Catalog {
	t.Helper()
	_, err := os.Stat(path)
	create := errors.Is(err, fs.ErrNotExist)
	if create {
		file, err := empty()
		if err == nil {
			err = os.WriteFile(path, file, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if create {
		if err := c.Adopt(t.Context(), rand.Text()); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
