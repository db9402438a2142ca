package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestBackupFindsDamage: a copy of a damaged catalogue is an error, although its pages can be copied.
func TestBackupFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalogue.db")
	c, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Backup(t.Context(), path, filepath.Join(t.TempDir(), "copy.db"), &ingest.Progress{}); err != nil {
		t.Errorf("without damage: %v", err)
	}
	const page = 8192
	damaged := append([]byte(nil), whole...)
	clear(damaged[20*page : 21*page]) // of an empty table or index
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	err = Backup(t.Context(), path, filepath.Join(t.TempDir(), "copy.db"), &ingest.Progress{})
	if err == nil || !strings.Contains(err.Error(), "the copy is damaged") {
		t.Errorf("with a damaged page: %v", err)
	}
}

func TestBackupOfOtherFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := Backup(t.Context(), path, filepath.Join(t.TempDir(), "copy.db"), &ingest.Progress{})
	if err == nil || !strings.Contains(err.Error(), "it is empty") {
		t.Errorf("an empty file: %v", err)
	}
}
