package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// realFolder has real files by other authors. It is beside the checkout.
var realFolder = filepath.Join("..", "..", "..", "shared", "testdata")

// realFile is a row of the folder's MANIFEST.tsv.
type realFile map[string]string

// realFiles returns the rows of the manifest by path, without those of Ollama manifests.
func realFiles(t *testing.T) map[string]realFile {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(realFolder, "MANIFEST.tsv"))
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("real files are missing: %v", err)
	} else if err != nil {
		t.Skipf("real files are missing: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	columns := strings.Split(lines[0], "\t")
	files := map[string]realFile{}
	for _, line := range lines[1:] {
		row := realFile{}
		for i, field := range strings.Split(line, "\t") {
			row[columns[i]] = field
		}
		if !strings.HasPrefix(row["path"], "ollama/manifests/") {
			path, err := filepath.Abs(filepath.Join(realFolder, filepath.FromSlash(row["path"])))
			if err != nil {
				t.Fatal(err)
			}
			files[path] = row
		}
	}
	return files
}

// damage is how the manifest marks a damaged GGUF file.
var damage = regexp.MustCompile(`PARSE-ERR|data-short|rank5|misaligned|dup-key`)

// refused reports whether a file claims to be GGUF and must be refused. The reader that made the
// manifest accepted two damaged files.
func (f realFile) refused() bool {
	if filepath.Ext(f["path"]) != ".gguf" {
		return false
	}
	return f["format"] != "gguf" || !strings.Contains("123", f["gguf_version"]) || damage.MatchString(f["quirks"]) ||
		strings.HasSuffix(f["path"], "/metadata-bool-invalid.gguf") ||
		strings.HasSuffix(f["path"], "/metadata-empty-key.gguf")
}

func TestRealFiles(t *testing.T) {
	files := realFiles(t)
	for _, inRows := range []bool{false, true} {
		t.Run(fmt.Sprintf("in rows %v", inRows), func(t *testing.T) {
			b := newBox(t, t.TempDir(), inRows)
			var folders []string
			for _, name := range []string{"gguf", "safetensors", "weights"} {
				folders = append(folders, filepath.Join(realFolder, name))
			}
			run := b.run(append([]string{"models"}, folders...)...)
			if run.code != exitSomeRefused {
				t.Errorf("exit code %d, want %d\n%s", run.code, exitSomeRefused, run.stderr)
			}
			checkRefused(t, run, files)
			checkIngested(b, files)
		})
	}
}

// checkRefused checks that the run names each damaged file, and no others, with offset and reason.
func checkRefused(t *testing.T, run result, files map[string]realFile) {
	t.Helper()
	place := regexp.MustCompile(`offset [0-9]+: .`)
	named := map[string]bool{}
	for _, line := range run.lines {
		if line["event"] != "refused" {
			continue
		}
		path, reason := line["path"].(string), line["reason"].(string)
		named[path] = true
		if !files[path].refused() {
			t.Errorf("refused, but intact: %s: %s", path, reason)
		}
		if !place.MatchString(reason) || strings.Contains(reason, path) {
			t.Errorf("%s: the reason names no offset, or the path again: %s", path, reason)
		}
	}
	for path, file := range files {
		if file.refused() && !named[path] {
			t.Errorf("not refused: %s (%s)", file["path"], file["quirks"])
		}
	}
}

// checkIngested checks that all other files are listed as in the manifest, and exported unchanged.
func checkIngested(b box, files map[string]realFile) {
	b.Helper()
	seen := map[string]bool{}
	for i, model := range b.must("list").objects() {
		if model["state"] != "complete" {
			b.Errorf("%v is %v", model["name"], model["state"])
		}
		types := b.tensorTypes(fmt.Sprint(model["id"]))
		folder := filepath.Join(b.TempDir(), fmt.Sprint(i))
		if err := os.Mkdir(folder, 0o777); err != nil {
			b.Fatal(err)
		}
		b.must("export", fmt.Sprint(model["id"]), "-o", folder)
		for _, each := range model["files"].([]any) {
			file := each.(map[string]any)
			path := file["path"].(string)
			seen[path] = true
			row := files[path]
			b.checkRow(file, row, types[file["name"].(string)])
			content, err := os.ReadFile(filepath.Join(folder, file["name"].(string)))
			if err != nil || ingest.Sum(content).String() != row["sha256"] {
				b.Errorf("%s: exported with SHA-256 %s, want %s (%v)", row["path"], ingest.Sum(content), row["sha256"],
					err)
			}
		}
	}
	for path, row := range files {
		if !row.refused() && !strings.HasPrefix(row["path"], "ollama/") && !seen[path] {
			b.Errorf("neither ingested nor refused: %s", row["path"])
		}
	}
}

// checkRow compares a listed file with its row in the manifest. Blobs have no tensors.
func (b box) checkRow(file map[string]any, row realFile, types map[string]int) {
	b.Helper()
	if file["sha256"] != row["sha256"] || fmt.Sprint(number(file, "bytes")) != row["bytes"] {
		b.Errorf("%s: listed with SHA-256 %v and %v bytes, want %s and %s", row["path"], file["sha256"], file["bytes"],
			row["sha256"], row["bytes"])
	}
	if file["format"] == "opaque" {
		if row["format"] == "gguf" {
			b.Errorf("%s: stored as a blob", row["path"])
		}
		return
	}
	var counts []string
	for name, n := range types {
		counts = append(counts, fmt.Sprintf("%s:%d", name, n))
	}
	slices.Sort(counts)
	got := fmt.Sprint(number(file, "tensors"), " ", strings.Join(counts, ","))
	if want := row["n_tensors"] + " " + row["types"]; got != want {
		b.Errorf("%s: tensors %s, want %s", row["path"], got, want)
	}
}

// tensorTypes counts the tensors of a model by file and type, as show prints them.
func (b box) tensorTypes(model string) map[string]map[string]int {
	b.Helper()
	types := map[string]map[string]int{}
	for _, line := range b.must("show", model).lines {
		if line["object"] != "tensor" {
			continue
		}
		file := line["file"].(string)
		if types[file] == nil {
			types[file] = map[string]int{}
		}
		types[file][line["type"].(string)]++
	}
	return types
}

// TestRealOllamaStore ingests a real Ollama store whose config is missing.
func TestRealOllamaStore(t *testing.T) {
	files := realFiles(t)
	b := newBox(t, t.TempDir(), false)
	run := b.run("models", filepath.Join(realFolder, "ollama", "ollama-testdata-store", "models"))
	refused := run.event("refused")
	if run.code != exitSomeRefused || refused == nil || !strings.Contains(fmt.Sprint(refused),
		"ca239d7bd8ea90e4a5d2e6bf88f8d74a47b14336e73eb4e18bed4dd325018116") {
		t.Errorf("exit code %d, refused %v: want the missing config named", run.code, refused)
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := os.Mkdir(out, 0o777); err != nil {
		t.Fatal(err)
	}
	b.must("export", "example.com/library/smol:latest", "-o", out)
	entries, err := os.ReadDir(out)
	if err != nil || len(entries) == 0 {
		t.Fatalf("exported %d files: %v", len(entries), err)
	}
	digests := map[string]bool{}
	for _, row := range files {
		digests[row["sha256"]] = true
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(out, entry.Name()))
		if err != nil || !digests[ingest.Sum(content).String()] {
			t.Errorf("%s is no file of the store (%v)", entry.Name(), err)
		}
	}
}
