package safetensors_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folder has real files of other programs. It is beside the checkout.
var folder = filepath.Join("..", "..", "..", "..", "shared", "testdata")

// manifest returns the rows of MANIFEST.tsv of safetensors files, by column names. Without the
// folder, it skips the test. In CI, it fails the test.
func manifest(t testing.TB) (rows []map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "MANIFEST.tsv"))
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("real files are missing: %v", err)
		}
		t.Skipf("real files are missing: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	columns := strings.Split(lines[0], "\t")
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, field := range strings.Split(line, "\t") {
			row[columns[i]] = field
		}
		if strings.HasPrefix(row["path"], "safetensors/") || row["format"] == "safetensors" {
			rows = append(rows, row)
		}
	}
	if len(rows) < 15 {
		t.Fatalf("only %d files are in the manifest", len(rows))
	}
	return rows
}

func realFile(t testing.TB, row map[string]string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(row["path"])))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRealFiles compares each file with its row in the manifest, which another program wrote.
func TestRealFiles(t *testing.T) {
	for _, row := range manifest(t) {
		t.Run(row["path"], func(t *testing.T) {
			if strings.Contains(row["quirks"], "PARSE-ERR") {
				if f, err := parse(realFile(t, row)); err == nil {
					t.Errorf("got %+v, want it refused", f)
				}
				return
			}
			f := mustParse(t, realFile(t, row))
			count := map[string]int{}
			long, scalar := false, false
			for _, tensor := range f.Tensors {
				count[string(tensor.Dtype)]++
				long, scalar = long || len(tensor.Name) > 64, scalar || len(tensor.Shape) == 0
			}
			var types []string
			for name, n := range count {
				types = append(types, fmt.Sprintf("%s:%d", name, n))
			}
			slices.Sort(types)
			for _, quirk := range []struct {
				is   bool
				name string
			}{{f.DataOffset%8 != 0, "header-not-8-aligned"}, {long, "name>64"}, {scalar, "scalar"}} {
				if quirk.is != strings.Contains(row["quirks"], quirk.name) {
					t.Errorf("%s: %v, but the manifest says %q", quirk.name, quirk.is, row["quirks"])
				}
			}
			got := fmt.Sprint(len(f.Tensors), len(f.Metadata), " ", strings.Join(types, ","))
			if want := fmt.Sprint(row["n_tensors"], " ", row["n_kv_or_meta"], " ", row["types"]); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
