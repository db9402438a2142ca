//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestKillBackup kills backup. The file is there only if it is a whole catalogue.
func TestKillBackup(t *testing.T) {
	if rerunWithoutRace(t) {
		return
	}
	kills := killsOf(t, 20, 5)
	k := newKiller(t, newSources(t, map[string]func(string) error{"noise.gguf": noise("noise", 64<<20, 1)}), true)
	k.must(k.models()...)
	want := k.audit(k.digests)
	copied := k.box
	copied.catalog = filepath.Join(t.TempDir(), "copy.db")
	begun := time.Now()
	k.must("backup", copied.catalog)
	took := time.Since(begun)
	for k.others < kills {
		if err := os.RemoveAll(copied.catalog); err != nil {
			t.Fatal(err)
		}
		done, _, e := k.kill(k.randomDelay(took), "backup", copied.catalog)
		if done && e.code != exitDone {
			t.Fatalf("backup: exit code %d\n%s", e.code, e.stderr)
		}
		if done {
			took = max(took*9/10, minDelay)
		}
		if _, err := os.Stat(copied.catalog); errors.Is(err, fs.ErrNotExist) && !done {
			continue
		}
		k.compare(want, copied.audit(k.digests))
	}
	k.compare(want, k.audit(k.digests))
}
