package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHostilePaths exports a model from a catalogue with paths that lead out of the folder, or that
// two files share.
func TestHostilePaths(t *testing.T) {
	folder := t.TempDir()
	s := newSources(t, map[string]func(string) error{"a.gguf": noise("a", 100_000, 1),
		"b.gguf": noise("b", 100_000, 2)})
	b := newBox(t, folder, false)
	b.must("models", s.folder)
	db, err := sql.Open("sqlite", b.catalog)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	parent := filepath.Join(folder, "parent")
	for path, want := range map[string]string{
		"../out.gguf":                   "it is not the relative path of a file",
		"x/../../out.gguf":              "it is not the relative path of a file",
		filepath.ToSlash(parent) + "/x": "it is not the relative path of a file",
		"":                              "", // as before paths were recorded
		"same.gguf":                     "two different files have this path",
	} {
		if _, err := db.Exec(`UPDATE ModelNameFiles SET RelativePath = nullif(?, '')`, path); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(parent, "out")
		run := b.run("export", "--as", "original", "--force", "1", "2", "-o", out)
		code := exitFailed
		if want == "" {
			code = exitDone
		}
		if run.code != code || !strings.Contains(run.stderr, want) {
			t.Errorf("%q: exit code %d, want %q in %s", path, run.code, want, run.stderr)
		}
		entries, err := os.ReadDir(parent)
		for _, entry := range entries {
			if entry.Name() != "out" {
				t.Errorf("%q: %s was written", path, entry.Name())
			}
		}
		if want == "" && len(contents(t, out)) != 2 {
			t.Errorf("%v were written (%v)", contents(t, out), err)
		}
		if err := os.RemoveAll(parent); err != nil {
			t.Fatal(err)
		}
	}
	// The path of the second model is refused before the first one is written.
	second := `UPDATE ModelNameFiles SET RelativePath = CASE ModelFileId WHEN 1 THEN 'a' ELSE '../b' END`
	if _, err := db.Exec(second); err != nil {
		t.Fatal(err)
	}
	if run := b.run("export", "--as", "original", "1", "2", "-o", parent); run.code != exitFailed {
		t.Errorf("exit code %d", run.code)
	}
	if _, err := os.Stat(parent); err == nil {
		t.Errorf("%v were written", contents(t, parent))
	}
}
