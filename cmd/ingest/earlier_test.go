package main

import (
	"archive/zip"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestEarlierVersion uses a catalogue and a store from before stores had owners.
// testdata/earlier.zip has a model with payloads in the store, another with its payload in a row,
// and the files of both.
func TestEarlierVersion(t *testing.T) {
	folder := t.TempDir()
	unzip(t, filepath.Join("testdata", "earlier.zip"), folder)
	b := newBox(t, folder, false)
	before := fileSum(t, b.catalog)
	b.must("models", "--dry-run", filepath.Join(folder, "model.gguf"))
	completion := b.command()
	completion.Args = []string{b.program, "__complete", "show", "m"}
	if err := completion.Run(); err != nil {
		t.Error(err)
	}
	if fileSum(t, b.catalog) != before {
		t.Error("a dry run or a completion updated the catalogue")
	}
	if n := number(b.must("verify").event("summary"), "models"); n != 2 {
		t.Errorf("%v models verified", n)
	}
	same := func(model string) {
		t.Helper()
		out := filepath.Join(t.TempDir(), model)
		b.must("export", model, "-o", out)
		if got, want := fileSum(t, out), fileSum(t, filepath.Join(folder, model)); got != want {
			t.Errorf("%s: exported with SHA-256 %x, want %x", model, got, want)
		}
	}
	same("model.gguf")
	same("note.txt")
	if e := b.must("models", filepath.Join(folder, "model.gguf")); number(e.event("summary"), "bytes_stored") != 0 {
		t.Errorf("ingested again: %v", e.event("summary"))
	}
	if owner, err := os.ReadFile(filepath.Join(folder, "store", "owner")); err != nil || len(owner) == 0 {
		t.Errorf("the store's owner is %q, %v", owner, err)
	}
	if e := b.must("gc", "--yes"); number(e.event("summary"), "payloads") != 0 {
		t.Errorf("gc: %v", e.event("summary"))
	}
	b.must("rm", "note.txt", "--yes")
	b.must("gc", "--yes")
	b.must("verify")
	same("model.gguf")
}

func unzip(t *testing.T, archive, folder string) {
	t.Helper()
	r, err := zip.OpenReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, entry := range r.File {
		from, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(from)
		to := filepath.Join(folder, filepath.FromSlash(entry.Name))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o700)
		}
		if err == nil {
			err = os.WriteFile(to, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func fileSum(t testing.TB, path string) [sha256.Size]byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(content)
}
