package safetensors_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/safetensors"
	"github.com/hartonomous/ingest/ingest/format/safetensors/safetensorstest"
)

// hubPackage is the reader of Hugging Face's web pages.
const hubPackage, hubVersion = "@huggingface/hub", "2.17.5"

// hubFolder returns a folder with the package, which it installs once, as scripts/azurite does.
// Without Node.js, it skips the test. In CI, it fails the test.
func hubFolder(t *testing.T) string {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") == "true" {
		missing = t.Fatalf
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			missing("%s is missing: %v", program, err)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		missing("no cache folder: %v", err)
	}
	folder := filepath.Join(cache, "ingest-test", "huggingface-hub-"+hubVersion)
	if _, err := os.Stat(filepath.Join(folder, "node_modules")); err == nil {
		return folder
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o777); err != nil {
		t.Fatal(err)
	}
	part, err := os.MkdirTemp(filepath.Dir(folder), "huggingface-hub-*") // renamed when it is complete
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(part)
	install := exec.CommandContext(t.Context(), "npm", "install", "--prefix", part, "--no-package-lock", "--no-audit",
		"--no-fund", "--omit=dev", "--omit=optional", "--ignore-scripts", hubPackage+"@"+hubVersion)
	if output, err := install.CombinedOutput(); err != nil {
		missing("npm could not install %s: %v\n%s", hubPackage, err, output)
	}
	if err := os.Rename(part, folder); err != nil {
		if _, stat := os.Stat(folder); stat != nil { // not because another process was faster
			t.Fatal(err)
		}
	}
	return folder
}

// hubResult is a line of testdata/hub.mjs.
type hubResult struct {
	Path, Error string
	Header      map[string]json.RawMessage
}

// readByHub reads files with the package.
func readByHub(t *testing.T, paths []string) (results []hubResult) {
	t.Helper()
	input, err := json.Marshal(paths)
	if err != nil {
		t.Fatal(err)
	}
	var output, problems bytes.Buffer
	node := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", "hub.mjs"), hubFolder(t))
	node.Stdin, node.Stdout, node.Stderr = bytes.NewReader(input), &output, &problems
	if err := node.Run(); err != nil {
		t.Fatalf("%v\n%s", err, problems.Bytes())
	}
	lines := bufio.NewScanner(&output)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var result hubResult
		if err := json.Unmarshal(lines.Bytes(), &result); err != nil {
			t.Fatal(err)
		}
		results = append(results, result)
	}
	if len(results) != len(paths) {
		t.Fatalf("%d results for %d files", len(results), len(paths))
	}
	return results
}

// hubRefuses are valid files that the package refuses: it has a lower limit for dimensions.
var hubRefuses = []string{"a large dimension of nothing"}

// TestHub compares all real files, and odd ones, with what an independent reader makes of them.
func TestHub(t *testing.T) {
	var paths []string
	for _, row := range manifest(t) {
		path, err := filepath.Abs(filepath.Join(folder, filepath.FromSlash(row["path"])))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	odd := t.TempDir()
	add := func(name string, file []byte) {
		path := filepath.Join(odd, name+".safetensors")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	add("sample", sample())
	add("wide", wide())
	for _, row := range accepted {
		add(row.name, safetensorstest.Raw(row.header, make([]byte, row.data)))
	}
	for _, result := range readByHub(t, paths) {
		name := strings.TrimSuffix(filepath.Base(result.Path), ".safetensors")
		if refused := slices.Contains(hubRefuses, name); refused != (result.Error != "") {
			t.Errorf("%s: %s", name, result.Error)
		}
		if result.Error == "" {
			compare(t, name, result)
		}
	}
}

// compare compares a file with what the package read.
func compare(t *testing.T, name string, result hubResult) {
	t.Helper()
	file, err := os.ReadFile(result.Path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(file)
	if err != nil {
		t.Fatal(err)
	}
	var metadata map[string]string
	if text, ok := result.Header["__metadata__"]; ok {
		if err := json.Unmarshal(text, &metadata); err != nil {
			t.Fatal(err)
		}
		delete(result.Header, "__metadata__")
	}
	if len(f.Tensors) != len(result.Header) || len(f.Metadata) != len(metadata) {
		t.Errorf("%s: %d tensors and %d keys, want %d and %d", name, len(f.Tensors), len(f.Metadata),
			len(result.Header), len(metadata))
	}
	for _, kv := range f.Metadata {
		if kv.Value.Truncated() || kv.Value.Text != metadata[kv.Key] {
			t.Errorf("%s: metadata %q: got %q, want %q", name, kv.Key, kv.Value.Text, metadata[kv.Key])
		}
	}
	for _, tensor := range f.Tensors {
		var want struct {
			Dtype   safetensors.Dtype
			Shape   []uint64
			Offsets [2]int64 `json:"data_offsets"`
		}
		if err := decodeExact(result.Header[tensor.Name], &want); err != nil {
			t.Errorf("%s: tensor %q: %v", name, tensor.Name, err)
		}
		begin := tensor.Offset - f.DataOffset
		got := fmt.Sprint(tensor.Dtype, tensor.Shape, begin, begin+tensor.Size)
		if want := fmt.Sprint(want.Dtype, want.Shape, want.Offsets[0], want.Offsets[1]); got != want {
			t.Errorf("%s: tensor %q: got %s, want %s", name, tensor.Name, got, want)
		}
	}
}
