package main

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// layoutCase copies a case, with its links, or a folder of real files.
func layoutCase(t *testing.T, from string) string {
	t.Helper()
	if _, err := os.Stat(from); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("cases or real files are missing:", err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege on Windows")
	}
	to := filepath.Join(t.TempDir(), filepath.Base(from))
	if err := copyCase(from, to); err != nil {
		t.Fatal(err)
	}
	return to
}

// contents returns the files below a folder, with links followed, by their paths with slashes.
func contents(t *testing.T, folder string) map[string]ingest.Digest {
	t.Helper()
	all := map[string]ingest.Digest{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if info, statErr := os.Stat(path); err != nil || statErr != nil || info.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		rel, _ := filepath.Rel(folder, path)
		all[filepath.ToSlash(rel)] = ingest.Sum(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// listedModel is a model as list prints it: what must be equal after a round trip.
type listedModel struct {
	Names []string
	Files []struct{ Name, Role, SHA256 string }
}

// models returns the models of a box, by their first names.
func (b box) models() map[string]listedModel {
	b.Helper()
	all := map[string]listedModel{}
	for _, line := range b.must("list").objects() {
		text, _ := json.Marshal(line)
		var m listedModel
		if err := json.Unmarshal(text, &m); err != nil {
			b.Fatal(err)
		}
		slices.Sort(m.Names)
		all[m.Names[0]] = m
	}
	return all
}

// digests returns the digests of the files with this role, sorted; of all files if it is empty.
func (m listedModel) digests(role string) (all []string) {
	for _, f := range m.Files {
		if role == "" || f.Role == role {
			all = append(all, f.SHA256)
		}
	}
	slices.Sort(all)
	return all
}

// exportAll exports all models of a box, under each of their names.
func (b box) exportAll(as, to string) {
	b.Helper()
	args := []string{"export", "--as", as, "-o", to}
	for _, m := range b.models() {
		args = append(args, m.Names...)
	}
	b.must(args...)
	again := b.must(args...)
	if e := again.event("exported"); e != nil {
		b.Errorf("exported twice: %v", e)
	}
}

var roundTrips = []struct {
	name, folder, given string
	made                []string // files that are not in the folder
}{
	{name: "hub cache", folder: "09-hf-hub-folder", given: "hub"},
	{name: "two revisions", folder: "10-hf-two-revisions-split", given: "hub"},
	{name: "repository of a hub cache", folder: "10-hf-two-revisions-split", given: "hub/models--demo-org--split-GGUF"},
	{name: "repository", folder: "40-safetensors-repo", given: "demo-model"},
	{name: "folder above", folder: "40-safetensors-repo", given: "../40-safetensors-repo"},
	{name: "Ollama MLX", folder: "16-ollama-mlx", given: "models"},
	{name: "Docker Model Runner", folder: "13-docker-model-runner", given: "models"},
}

// TestRoundTrips ingests folders, exports them as they were, and ingests what was exported.
func TestRoundTrips(t *testing.T) {
	for _, c := range roundTrips {
		t.Run(c.name, func(t *testing.T) {
			folder := layoutCase(t, filepath.Join(casesFolder, c.folder))
			// A repository without a name has that of its folder.
			b, out := newBox(t, t.TempDir(), false), filepath.Join(t.TempDir(), filepath.Base(c.given))
			b.must("models", filepath.Join(folder, c.given))
			b.exportAll("original", out)
			base := filepath.Join(folder, c.given)
			if strings.HasPrefix(filepath.Base(c.given), "models--") {
				base = filepath.Dir(base)
			}
			original, exported := contents(t, base), contents(t, out)
			for path, digest := range exported {
				if list := filepath.Base(path); list == "models.json" { // has the same models
					continue
				}
				if original[path] != digest {
					t.Errorf("%s: exported with SHA-256 %s, was %s", path, digest, original[path])
				}
			}
			again := newBox(t, t.TempDir(), false)
			again.must("models", out)
			sameModels(t, again.models(), b.models())
		})
	}
}

func sameModels(t *testing.T, got, want map[string]listedModel) {
	t.Helper()
	for name, m := range want {
		if !slices.Equal(got[name].Names, m.Names) || !slices.Equal(got[name].digests(""), m.digests("")) {
			t.Errorf("%s: from the exported folder %+v, want %+v", name, got[name], m)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the exported folder has %d models, want %d", len(got), len(want))
	}
}

// TestRoundTripTestdata exports the store of Ollama among the real files: it lacks a blob.
func TestRoundTripTestdata(t *testing.T) {
	folder := layoutCase(t, filepath.Join(realFolder, "ollama", "ollama-testdata-store"))
	b, out := newBox(t, t.TempDir(), false), filepath.Join(t.TempDir(), "out")
	if run := b.run("models", filepath.Join(folder, "models")); run.code != 3 {
		t.Fatalf("exit code %d: %s", run.code, run.stderr)
	}
	b.exportAll("original", out)
	original := contents(t, filepath.Join(folder, "models"))
	for path, digest := range contents(t, out) {
		if original[path] != digest {
			t.Errorf("%s: exported with SHA-256 %s, was %s", path, digest, original[path])
		}
	}
	run := b.run("export", "--as", "ollama", "1", "-o", filepath.Join(t.TempDir(), "x"))
	if run.code != 1 || !strings.Contains(run.stderr, "names a config blob that was missing") {
		t.Errorf("exit code %d: %s", run.code, run.stderr)
	}
}

// TestLayoutsOfOthers exports models as Ollama and as OCI, and ingests what was exported.
func TestLayoutsOfOthers(t *testing.T) {
	for _, c := range []struct {
		as, folder, given string
		names             []string // in the layout
	}{
		{"ollama", "16-ollama-mlx", "models", []string{"qwen3.5:9b-mlx-bf16"}},
		{"ollama", "13-docker-model-runner", "models", []string{"ai/demo:latest"}},
		{"ollama", "09-hf-hub-folder", "hub", []string{"demo-org/demo-gguf:demo-q8_0"}},
		{"oci", "16-ollama-mlx", "models", []string{"qwen3.5:9b-mlx-bf16"}},
		{"oci", "13-docker-model-runner", "models", []string{"ai/demo:latest"}},
		{"oci", "09-hf-hub-folder", "hub", []string{"demo-org/demo-GGUF@main/demo-Q8_0.gguf"}},
		{"oci", "40-safetensors-repo", "demo-model", []string{"demo-model"}},
		{"oci", "10-hf-two-revisions-split", "hub", []string{"demo-org/split-GGUF@" + strings.Repeat("a", 40) +
			"/UD-Q4/demo.gguf", "demo-org/split-GGUF@main/UD-Q4/demo.gguf"}},
	} {
		t.Run(c.as+" "+c.folder, func(t *testing.T) {
			folder := layoutCase(t, filepath.Join(casesFolder, c.folder))
			b, out := newBox(t, t.TempDir(), false), filepath.Join(t.TempDir(), "out")
			b.must("models", filepath.Join(folder, c.given))
			b.exportAll(c.as, out)
			again := newBox(t, t.TempDir(), false)
			again.must("models", out)
			got, want := again.models(), b.models()
			for _, name := range c.names {
				if _, ok := got[name]; !ok {
					t.Errorf("%s is missing: %v", name, got)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d models, want %d", len(got), len(want))
			}
			before := len(b.models())
			run := b.must("models", out) // the same weights are the same models
			if n := number(run.event("summary"), "bytes_stored"); len(b.models()) != before || n > 8192 {
				t.Errorf("ingested again, %d bytes were stored: %d models, want %d", n, len(b.models()), before)
			}
		})
	}
}

// oras is the version of the tool that reads the exported image layouts.
const oras = "oras.land/oras/cmd/oras@v1.3.6"

// orasProgram returns the path of oras. It is built if it is not installed.
func orasProgram(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("oras"); err == nil {
		return path
	}
	folder := t.TempDir()
	build := exec.Command("go", "install", oras)
	build.Dir = folder
	build.Env = append(os.Environ(), "GOBIN="+folder, "GOFLAGS=-mod=mod")
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("building oras: %v\n%s", err, out)
		}
		t.Skipf("oras cannot be built: %v\n%s", err, out)
	}
	return filepath.Join(folder, "oras")
}

// TestOras reads exported image layouts with oras.
func TestOras(t *testing.T) {
	if testing.Short() {
		t.Skip("oras is not built with -short")
	}
	program := orasProgram(t)
	folder := layoutCase(t, filepath.Join(casesFolder, "40-safetensors-repo"))
	runner := layoutCase(t, filepath.Join(casesFolder, "13-docker-model-runner"))
	b, out := newBox(t, t.TempDir(), false), filepath.Join(t.TempDir(), "out")
	b.must("models", filepath.Join(folder, "demo-model"), filepath.Join(runner, "models"))
	b.exportAll("oci", out)
	run := func(args ...string) []byte {
		t.Helper()
		text, err := exec.Command(program, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("oras %s: %v\n%s", strings.Join(args, " "), err, text)
		}
		return text
	}
	var manifest struct{ ArtifactType string }
	text := run("manifest", "fetch", "--oci-layout", out+":demo-model")
	err := json.Unmarshal(text, &manifest)
	if err != nil || !strings.HasPrefix(manifest.ArtifactType, "application/vnd.cncf") {
		t.Errorf("manifest %s: %v", text, err)
	}
	pulled := t.TempDir()
	run("pull", "--oci-layout", out+":demo-model", "-o", pulled)
	original := contents(t, filepath.Join(folder, "demo-model"))
	for path, digest := range contents(t, pulled) {
		if original[path] != digest {
			t.Errorf("%s: pulled with SHA-256 %s, was %s", path, digest, original[path])
		}
	}
	text = run("manifest", "fetch", "--oci-layout", out+":ai-demo-latest")
	original = contents(t, filepath.Join(runner, "models", "manifests"))
	if !slices.Contains(slices.Collect(maps.Values(original)), ingest.Sum(text)) {
		t.Errorf("the manifest has changed: %s", text)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	run("copy", "--from-oci-layout", out+":demo-model", "--to-oci-layout", copied+":v1")
	again := newBox(t, t.TempDir(), false)
	again.must("models", copied)
	got, want := again.models()["v1"].digests("weights"), b.models()["demo-model"].digests("weights")
	if len(got) == 0 || !slices.Equal(got, want) {
		t.Errorf("weights of the copy are %v, want %v", got, want)
	}
}
