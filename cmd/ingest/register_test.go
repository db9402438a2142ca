package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/catalogtest"
)

// TestRealFilesRegistered registers real files, verifies and exports them, and later ingests some
// of them.
func TestRealFilesRegistered(t *testing.T) {
	files := realFiles(t)
	b := newBox(t, t.TempDir(), true)
	args := []string{"register"}
	for _, name := range []string{"gguf", "safetensors", "weights"} {
		args = append(args, filepath.Join(realFolder, name))
	}
	run := b.run(args...)
	if run.code != exitSomeRefused {
		t.Errorf("exit code %d, want %d\n%s", run.code, exitSomeRefused, run.stderr)
	}
	checkRefused(t, run, files)
	if e := b.run("verify"); e.code != exitDone || number(e.event("summary"), "damaged") != 0 {
		t.Errorf("verify: exit code %d: %v\n%s", e.code, e.event("summary"), e.stderr)
	}
	seen := 0
	for i, model := range b.must("list").objects() {
		if model["state"] != "registered" || number(model, "segments") != 0 {
			t.Errorf("%v is %v, with %v segments", model["name"], model["state"], model["segments"])
		}
		folder := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := os.Mkdir(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		b.must("export", fmt.Sprint(model["id"]), "-o", folder)
		types := b.tensorTypes(fmt.Sprint(model["id"]))
		for _, each := range model["files"].([]any) {
			file := each.(map[string]any)
			row := files[file["path"].(string)]
			b.checkRow(file, row, types[file["name"].(string)])
			content, err := os.ReadFile(filepath.Join(folder, file["name"].(string)))
			if err != nil || ingest.Sum(content).String() != row["sha256"] {
				t.Errorf("%s: exported with SHA-256 %s, want %s (%v)", row["path"], ingest.Sum(content), row["sha256"],
					err)
			}
			seen++
		}
	}
	if seen < 20 {
		t.Errorf("%d files were registered", seen)
	}
	again := b.run(args...)
	if summary := again.event("summary"); number(summary, "registered") != 0 || number(summary, "bytes_read") != 0 {
		t.Errorf("registered again: %v", summary)
	}
	b.must("models", filepath.Join(realFolder, "weights"))
	b.audit(digestsOf(files))
}

// digestsOf returns the digests in the manifest by path.
func digestsOf(files map[string]realFile) map[string]ingest.Digest {
	digests := map[string]ingest.Digest{}
	for path, row := range files {
		digests[path], _ = ingest.ParseDigest("sha256:" + row["sha256"])
	}
	return digests
}

// TestRegisterKilled kills the program at random moments. Each model must be registered completely
// or not at all, and the next run must register the missing ones.
func TestRegisterKilled(t *testing.T) {
	const models, kills = 30, 12
	b := newBox(t, filepath.Join(t.TempDir(), "home"), true)
	folder := t.TempDir()
	for i := range models {
		f := smallModel(fmt.Sprintf("m%d", i), 200_000, uint64(i), uint64(i))
		if err := f.Create(filepath.Join(folder, fmt.Sprintf("m%02d.gguf", i))); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	b.must("register", folder)
	took := time.Since(begun)
	if err := b.database().clear(); err != nil {
		t.Fatal(err)
	}
	during := 0
	for range kills {
		c := b.command("register", folder)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(took))))
		c.Process.Kill() // it may have ended
		c.Wait()
		n := wholeRegistered(t, b, 4)
		if n > 0 && n < models {
			during++
		}
		if n == models {
			if err := b.database().clear(); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.must("register", folder)
	if n := wholeRegistered(t, b, 4); n != models {
		t.Errorf("%d models are registered, want %d", n, models)
	}
	if during == 0 {
		t.Logf("no kill was during the registration")
	}
	b.must("verify")
}

// wholeRegistered counts the models, and checks that each has all of its rows.
func wholeRegistered(t *testing.T, b box, tensors int) (n int) {
	t.Helper()
	ctx := context.Background()
	c := b.open()
	defer c.Close()
	if err := catalogtest.Check(ctx, c, nil); err != nil {
		t.Fatal(err)
	}
	for m, err := range c.Models(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		layers := 0
		for _, err := range c.Layers(ctx, m.ID) {
			if err != nil {
				t.Fatal(err)
			}
			layers++
		}
		if m.State != ingest.ModelRegistered || len(m.Files) != 1 || len(m.Names) != 1 || layers != tensors {
			t.Fatalf("model %d is %s, with %d files, %d names and %d layers", m.ID, m.State, len(m.Files), len(m.Names),
				layers)
		}
		a, err := c.FileAtom(ctx, m.Files[0].Atom)
		if err != nil || a.Digest != m.Files[0].Digest || !strings.HasSuffix(a.Locator, m.Files[0].Name) {
			t.Fatalf("model %d: %+v, %v", m.ID, a, err)
		}
		n++
	}
	return n
}
