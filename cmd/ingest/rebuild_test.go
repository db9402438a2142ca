package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// lostColumns are those that a rebuilt catalogue does not have: numbers, times, and what only a run that
// reads files needs.
var lostColumns = regexp.MustCompile(`(?i)(id|idx|date|at|etag|lastmodified\w*|sourcekey)$`)

// atFirst are the time, the name and the source in the row of an atom, from when its file was first
// ingested. A description has the present names, and the first one stands for all files.
var atFirst = regexp.MustCompile(`,?"(registered_at|model_name|ollama_digest)":"[^"]*"|SourceUri=\S*|` +
	`SourceType=(model_file|ollama_blob)`)

// dumpTables are the tables that a description covers.
var dumpTables = []string{"Models", "ModelMetadata", "ModelFiles", "ModelNames", "ModelLayers", "LayerTensorSegments",
	"FileSegments", "Atoms", "SmallPayloads"}

// dump returns the rows of each table as sorted lines, without numbers and times.
func (b box) dump() map[string][]string {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+b.catalog+"?mode=ro")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	tables := map[string][]string{}
	for _, table := range dumpTables {
		rows, err := db.Query("SELECT * FROM " + table)
		if err != nil {
			b.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			b.Fatal(err)
		}
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				b.Fatal(err)
			}
			var line strings.Builder
			for i, column := range columns {
				if !lostColumns.MatchString(column) {
					fmt.Fprintf(&line, "%s=%v ", column, values[i])
				}
			}
			tables[table] = append(tables[table], atFirst.ReplaceAllString(line.String(), ""))
		}
		if err := rows.Err(); err != nil {
			b.Fatal(err)
		}
		slices.Sort(tables[table])
	}
	return tables
}

// sameRows compares the rows of a rebuilt catalogue with those of the lost one.
func (b box) sameRows(want map[string][]string) {
	b.Helper()
	got := b.dump()
	for table := range want {
		if slices.Equal(got[table], want[table]) {
			continue
		}
		b.Errorf("%s: %d rows, want %d", table, len(got[table]), len(want[table]))
		for i := range min(len(got[table]), len(want[table])) {
			if g, w := got[table][i], want[table][i]; g != w {
				b.Errorf("row %d is\n%.600s\nwant\n%.600s", i, g, w)
				break
			}
		}
	}
}

// rebuilt deletes the catalogue and rebuilds it from the store.
func (b box) rebuilt() result {
	b.Helper()
	if err := b.database().clear(); err != nil {
		b.Fatal(err)
	}
	return b.run("rebuild", "--take-over")
}

// apart is a box whose catalogue and store are in different folders.
func apart(t *testing.T) box {
	b := newBox(t, t.TempDir(), false)
	b.catalog = filepath.Join(t.TempDir(), "catalogue", "catalog.db")
	return b
}

// TestRebuild loses the catalogue, and rebuilds it: models with shared, encoded and small payloads, empty
// and opaque files, merged and renamed models.
func TestRebuild(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"one.gguf": tuned("one", 6<<20, 1, 1),
		"two.gguf": tuned("two", 6<<20, 1, 2), "encoded.gguf": encodable("encoded", 4<<20, 3),
		"small.gguf": manyTensors(300), "blob.dat": blob(3<<20, 3), "empty.dat": blob(0, 0)})
	copied, err := os.ReadFile(s.path("one.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "again.gguf")
	if err := os.WriteFile(again, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, store := range []string{"dir", "blobs"} {
		t.Run(store, func(t *testing.T) {
			b := apart(t)
			if store == "blobs" {
				b.blobs, b.store = &blobs{account: azurite(t)}, ""
				if err := b.blobs.reset(); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{"one", "two", "encoded", "small"} {
				b.must("models", s.path(name+".gguf"), "--segment-size", "1MiB")
			}
			b.must("models", s.path("blob.dat"), s.path("empty.dat"), again, "--segment-size", "1MiB")
			b.must("rename", "two", "second")
			b.must("rm", "blob.dat", "--yes")
			b.must("gc", "--yes", "--older-than", "0s")
			want := b.dump()
			if e := b.rebuilt(); e.code != exitDone || number(e.event("summary"), "models") != 5 {
				t.Fatalf("exit code %d, %v\n%s", e.code, e.lines, e.stderr)
			}
			b.must("verify", "--read")
			b.sameRows(want)
			if e := b.must("gc", "--older-than", "0s"); number(e.event("summary"), "payloads") != 0 {
				t.Errorf("gc would delete payloads: %v", e.lines)
			}
			to := filepath.Join(t.TempDir(), "encoded.gguf")
			b.must("export", "encoded", "-o", to)
			b.exported(to, s.digests[s.path("encoded.gguf")])
			if e := b.must("rebuild"); number(e.event("summary"), "models") != 0 ||
				number(e.event("summary"), "present") != 5 {
				t.Errorf("again: %v", e.lines)
			}
			if e := b.must("models", s.path("one.gguf"), s.path("small.gguf"), "--segment-size", "1MiB"); number(
				e.event("summary"), "skipped") != 2 {
				t.Errorf("unchanged files: %v", e.lines)
			}
		})
	}
}

// TestRebuildRealFiles rebuilds models from files by other authors: GGUF, safetensors and Ollama.
func TestRebuildRealFiles(t *testing.T) {
	realFiles(t) // skips the test without them
	b := apart(t)
	e := b.run("models", realFolder, "--jobs", "1", "--opaque-files", "--segment-size", "1MiB")
	models := number(e.event("summary"), "taken")
	if models < 10 {
		t.Fatalf("%d models: %s", models, e.stderr)
	}
	b.must("gc", "--yes")
	want := b.dump()
	if e := b.rebuilt(); e.code != exitDone {
		t.Fatalf("exit code %d, %v\n%s", e.code, e.lines, e.stderr)
	}
	b.must("verify")
	b.must("gc", "--yes")
	b.sameRows(want)
}

// TestDescribeAroundDamage: a small payload that is damaged in the catalogue keeps its own model from being
// described, and gc names the model. It describes and collects all else.
func TestDescribeAroundDamage(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"hurt.gguf": manyTensors(3),
		"well.gguf": tuned("well", 1<<20, 1, 1)})
	b := apart(t)
	b.must("models", s.path("hurt.gguf"))
	b.exec(`UPDATE SmallPayloads SET Payload = zeroblob(length(Payload))`)
	b.must("models", s.path("well.gguf"))
	if err := os.RemoveAll(filepath.Join(b.store, "descriptions")); err != nil {
		t.Fatal(err)
	}
	e := b.run("gc", "--yes")
	if e.code != exitFailed || !strings.Contains(e.stderr, "a payload in the catalogue is damaged") {
		t.Fatalf("gc: exit code %d\n%s", e.code, e.stderr)
	}
	if e := b.rebuilt(); number(e.event("summary"), "models") != 1 {
		t.Errorf("rebuild: %v\n%s", e.lines, e.stderr)
	}
}
