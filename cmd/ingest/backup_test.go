//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestBackupWhileWriting copies the catalogue while a run writes to it. Each copy is a catalogue of the
// same store: rows do not contradict each other, and each has its payload.
func TestBackupWhileWriting(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	models := map[string]func(string) error{"noise.gguf": noise("noise", 100<<20, 7)}
	for i := range 3 {
		models[fmt.Sprintf("small%d.gguf", i)] = manyTensors(1500 + i)
	}
	s := newSources(t, models)
	for _, inRows := range []bool{false, true} {
		t.Run(fmt.Sprintf("in rows %v", inRows), func(t *testing.T) {
			b := newBox(t, t.TempDir(), inRows)
			b.run("models", t.TempDir()) // creates the catalogue
			run := b.beside("models", s.folder, "--jobs", "1")
			unfinished := 0
			for i := 0; !run.over() || i == 0; i++ {
				copied := b
				copied.catalog = filepath.Join(t.TempDir(), fmt.Sprintf("copy%d.db", i))
				b.must("backup", copied.catalog)
				if len(copied.audit(s.digests).models) < len(s.digests) {
					unfinished++
				}
				copied.must("verify")
				if err := os.Remove(copied.catalog); err != nil {
					t.Error(err)
				}
			}
			if e := b.result(run.Cmd); e.code != exitDone {
				t.Errorf("models: exit code %d\n%s", e.code, e.stderr)
			}
			if unfinished == 0 {
				t.Error("no copy was made while models were missing")
			}
			b.audit(s.digests)
		})
	}
}

// TestBackupIsACatalogue loses the catalogue and continues with its copy, which owns the store.
func TestBackupIsACatalogue(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"one.gguf": tuned("one", 4<<20, 1, 1),
		"two.gguf": tuned("two", 4<<20, 1, 2)})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.path("one.gguf"))
	copied := filepath.Join(t.TempDir(), "copy.db")
	b.must("backup", copied)
	if err := os.Remove(b.catalog); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(copied, b.catalog); err != nil {
		t.Fatal(err)
	}
	b.must("models", s.folder)
	b.must("verify")
	b.must("gc", "--yes")
	if got := b.audit(s.digests); len(got.models) != 2 || got.open != 0 {
		t.Errorf("%d models, %d open", len(got.models), got.open)
	}
}
