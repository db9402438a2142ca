package format

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/ollama"
)

// layer is a layer of a manifest, and the content of its blob.
type layer struct{ role, content string }

func (l layer) digest() string { return ingest.Sum([]byte(l.content)).String() }

func (l layer) json() string {
	return fmt.Sprintf(`{"mediaType":"application/vnd.ollama.image.%s","digest":"sha256:%s","size":%d}`, l.role,
		l.digest(), len(l.content))
}

func manifestOf(layers ...layer) string {
	var list []string
	for _, l := range layers[1:] {
		list = append(list, l.json())
	}
	return fmt.Sprintf(`{"schemaVersion":2,"config":%s,"layers":[%s]}`, layers[0].json(), strings.Join(list, ","))
}

var (
	config    = layer{"config", "{}"}
	weights   = layer{"model", "GGUF one"}
	weights2  = layer{"model", "GGUF two"}
	projector = layer{"projector", "GGUF eyes"}
	license   = layer{"license", "MIT"}
)

func blob(l layer) string { return "sha256-" + l.digest() }

// ollamaFolder creates a models folder with two models that share weights, one with the old name of
// a blob, and an orphan. more adds files, or removes those with content "absent".
func ollamaFolder(t *testing.T, more map[string]string) string {
	legacy := "models/blobs/sha256:" + weights2.digest()
	files := map[string]string{
		"models/manifests/registry.ollama.ai/library/one/latest": manifestOf(config, license, projector, weights),
		"models/manifests/registry.ollama.ai/me/two/v1":          manifestOf(config, weights),
		"models/manifests/hf.co/me/three/Q4":                     manifestOf(config, weights2),
		"models/manifests/.DS_Store":                             "",
		"models/blobs/" + blob(layer{"", "GGUF orphan"}):         "GGUF orphan",
		"models/blobs/" + blob(weights) + "-partial-0":           "",
	}
	for _, l := range []layer{config, weights, projector, license} {
		files["models/blobs/"+blob(l)] = l.content
	}
	files[legacy] = weights2.content
	maps.Copy(files, more)
	for name, content := range files {
		if content == "absent" {
			delete(files, name)
		}
	}
	return folder(t, files)
}

func sourceLine(name, manifest string, layers ...layer) string {
	line := name + " "
	for _, l := range layers {
		role := l.role
		if role == "model" {
			role = "weights"
		}
		line += role + " models/blobs/" + blob(l) + ", "
	}
	return line + "manifest models/manifests/" + manifest
}

var (
	lineOne   = sourceLine("one:latest", "registry.ollama.ai/library/one/latest", weights, projector, license, config)
	lineTwo   = sourceLine("me/two:v1", "registry.ollama.ai/me/two/v1", weights, config)
	lineThree = strings.Replace(sourceLine("hf.co/me/three:Q4", "hf.co/me/three/Q4", weights2, config), blob(weights2),
		"sha256:"+weights2.digest(), 1)
	orphan = "weights models/blobs/" + blob(layer{"", "GGUF orphan"})
)

func TestFindOllama(t *testing.T) {
	root := ollamaFolder(t, map[string]string{"top.gguf": "", "models/notes.txt": ""})
	skips := []string{"models/blobs/" + blob(weights) + "-partial-0: an unfinished",
		"models/manifests/.DS_Store: hidden"}
	notes := func(given string) []string { // of notes.txt
		return append([]string{given + ": 1 other file is not a model (--opaque-files"}, skips...)
	}
	for name, test := range map[string]struct{ paths, sources, skipped []string }{
		"above":  {[]string{"."}, []string{orphan, "weights top.gguf", lineThree, lineTwo, lineOne}, notes(".")},
		"models": {[]string{"models"}, []string{orphan, lineThree, lineTwo, lineOne}, notes("models")},
		"blobs":  {[]string{"models/blobs"}, []string{orphan, lineThree, lineTwo, lineOne}, skips},
		"twice": {[]string{"models", "models/blobs", "models/blobs/" + blob(weights)},
			[]string{orphan, lineThree, lineTwo, lineOne}, notes("models")},
		"manifests":  {[]string{"models/manifests"}, []string{lineThree, lineTwo, lineOne}, skips[1:]},
		"a host":     {[]string{"models/manifests/registry.ollama.ai"}, []string{lineTwo, lineOne}, skips[1:]},
		"a manifest": {[]string{"models/manifests/registry.ollama.ai/me/two/v1"}, []string{lineTwo}, skips[1:]},
		"shared weights": {[]string{"models/blobs/" + blob(weights)},
			[]string{"me/two:v1 weights models/blobs/" + blob(weights)}, nil},
		"its license": {[]string{"models/blobs/" + blob(license)}, []string{"weights models/blobs/" + blob(license)},
			nil},
		"the orphan": {[]string{"models/blobs/" + blob(layer{"", "GGUF orphan"})}, []string{orphan}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sources, skipped, refused := find(t, root, test.paths...)
			expect(t, "sources", sources, test.sources)
			expect(t, "skipped", skipped, test.skipped)
			expect(t, "refused", refused, nil)
		})
	}
}

func TestFindOllamaClaims(t *testing.T) {
	root := ollamaFolder(t, nil)
	found, err := Find(t.Context(), []string{filepath.Join(root, "models")})
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range found.Sources {
		if source.Name != "one:latest" {
			continue
		}
		if source.URI != "ollama://one:latest" {
			t.Error(source.URI)
		}
		for i, l := range []layer{weights, projector, license, config} {
			if file := source.Files[i]; file.Expected.String() != l.digest() ||
				file.ExpectedBytes != int64(len(l.content)) {
				t.Errorf("%+v does not have the digest and size of the manifest", file)
			}
		}
		if last := source.Files[4]; !last.Expected.IsZero() || last.ExpectedBytes != -1 {
			t.Errorf("the manifest has an expected digest or size: %+v", last)
		}
	}
}

func TestFindOllamaTrouble(t *testing.T) {
	one := "models/manifests/registry.ollama.ai/library/one/latest"
	for name, test := range map[string]struct {
		more             map[string]string
		sources, refused []string
	}{
		"config missing": {map[string]string{"models/blobs/" + blob(config): "absent"},
			[]string{orphan, strings.Replace(lineThree, "config models/blobs/"+blob(config)+", ", "", 1),
				strings.Replace(lineTwo, "config models/blobs/"+blob(config)+", ", "", 1),
				strings.Replace(lineOne, "config models/blobs/"+blob(config)+", ", "", 1)},
			[]string{"models/blobs/" + blob(config) + ": hf.co/me/three:Q4: config blob " + blob(config) +
				" named by the manifest is missing",
				"models/blobs/" + blob(config) + ": me/two:v1: config blob",
				"models/blobs/" + blob(config) + ": one:latest: config blob"}},
		"weights missing": {map[string]string{"models/blobs/sha256:" + weights2.digest(): "absent"},
			[]string{orphan, lineTwo, lineOne},
			[]string{"models/blobs/" + blob(weights2) +
				": hf.co/me/three:Q4: the model's weights are missing: weights blob " + blob(weights2) +
				" named by the manifest is missing"}},
		"weights unfinished": {map[string]string{"models/blobs/sha256:" + weights2.digest(): "absent",
			"models/blobs/" + blob(weights2) + "-partial": ""},
			[]string{orphan, lineTwo, lineOne},
			[]string{"models/blobs/" + blob(weights2) +
				": hf.co/me/three:Q4: the model's weights are missing: weights blob " + blob(weights2) +
				" named by the manifest: an unfinished download"}},
		"weights lead out": {map[string]string{"models/blobs/sha256:" + weights2.digest(): "-> ../../elsewhere",
			"elsewhere": "GGUF two"}, []string{orphan, lineTwo, lineOne},
			[]string{"models/blobs/sha256:" + weights2.digest() +
				": hf.co/me/three:Q4: the model's weights are missing: weights blob " + blob(weights2) +
				" named by the manifest: a symbolic link that leads out"}},
		"no manifest": {map[string]string{one: "<html>"},
			[]string{"weights models/blobs/" + blob(projector), orphan, lineThree, lineTwo}, nil},
		"a damaged manifest": {map[string]string{one: manifestOf(config, license, projector, weights)[:100]},
			[]string{lineThree, lineTwo}, []string{one + ": manifest: it is cut off: pull the model again"}},
		"an emptied manifest": {map[string]string{"models/manifests/hf.co/me/four/x": "\x00\x00"},
			[]string{lineThree, lineTwo, lineOne}, nil},
		"a huge manifest": {map[string]string{"models/manifests/hf.co/me/huge/x": strings.Repeat(" ",
			ollama.MaxManifestBytes+100)},
			[]string{lineThree, lineTwo, lineOne},
			[]string{"models/manifests/hf.co/me/huge/x: it has more than 1048576 bytes"}},
		"a bad name": {map[string]string{"models/manifests/hf.co/me/a b/x": manifestOf(config, weights)},
			[]string{orphan, lineThree, lineTwo, lineOne}, nil},
		"no weights named": {map[string]string{"models/manifests/hf.co/me/none/x": manifestOf(config, license)},
			[]string{orphan, lineThree, lineTwo, lineOne},
			[]string{"models/manifests/hf.co/me/none/x: hf.co/me/none:x: the model's weights are missing: the " +
				"manifest names none"}},
		"manifests is a file": {map[string]string{"more/manifests": "x", "more/blobs/y": ""},
			[]string{orphan, lineThree, lineTwo, lineOne}, nil},
		"linked manifest": {map[string]string{"models/manifests/hf.co/me/out/x": "-> /dev/null"},
			[]string{lineThree, lineTwo, lineOne},
			[]string{"models/manifests/hf.co/me/out/x: a symbolic link that leads out"}},
		"kept as a blob too": {map[string]string{"models/blobs/" +
			blob(layer{"", manifestOf(config, weights)}): manifestOf(config, weights)},
			[]string{orphan, lineThree, lineTwo, lineOne}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sources, _, refused := find(t, ollamaFolder(t, test.more), "models")
			if name == "no manifest" { // one more orphan, in the order of their digests
				if len(sources) != len(test.sources) {
					t.Errorf("sources: %q", sources)
				}
			} else {
				expect(t, "sources", sources, test.sources)
			}
			expect(t, "refused", refused, test.refused)
		})
	}
}

func TestFindOllamaDepth(t *testing.T) {
	root := ollamaFolder(t, map[string]string{"models/manifests/other": "", "models/manifests/h/n/m/t/deeper": "",
		"models/manifests/h/n/up": "-> ../.."})
	sources, skipped, refused := find(t, root, "models")
	expect(t, "sources", sources, []string{orphan, lineThree, lineTwo, lineOne})
	expect(t, "refused", refused, nil)
	for _, want := range []string{"models/manifests/other: not at manifests/",
		"models/manifests/h/n/m/t: not at manifests/"} {
		if !strings.Contains(strings.Join(skipped, "\n"), want) {
			t.Errorf("%q is not among the skipped: %q", want, skipped)
		}
	}
}

// TestFindOllamaBlobsElsewhere: the blobs folder may be a link to another disk, because its files are
// compared with their names. Other files there are not looked at.
func TestFindOllamaBlobsElsewhere(t *testing.T) {
	root := ollamaFolder(t, map[string]string{"models/blobs/secret": "secret"})
	if err := os.Rename(filepath.Join(root, "models/blobs"), filepath.Join(root, "disk")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "disk"), filepath.Join(root, "models/blobs")); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	for _, given := range []string{"models", "models/blobs"} {
		sources, _, refused := find(t, root, given)
		expect(t, "sources", sources, []string{orphan, lineThree, lineTwo, lineOne})
		expect(t, "refused", refused, nil)
	}
}

// TestFindOllamaLeftOut: the blobs of a manifest that is left out are not models, also if it cannot be
// read.
func TestFindOllamaLeftOut(t *testing.T) {
	for name, manifest := range map[string]string{"whole": manifestOf(config, license, projector, weights),
		"damaged": manifestOf(config, license, projector, weights)[:100]} {
		root := ollamaFolder(t, map[string]string{"models/manifests/registry.ollama.ai/library/one/latest": manifest})
		finder := Finder{Select: Selection{Exclude: []string{"one/*"}}}
		found, err := finder.Find(t.Context(), []string{filepath.Join(root, "models")})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range found.Sources {
			if s.Name == "" && name == "damaged" || strings.HasSuffix(s.Files[0].Path, blob(projector)) {
				t.Errorf("%s: %s is a model", name, s.URI)
			}
		}
		if len(found.Refused) > 0 || len(found.Sources) < 2 {
			t.Errorf("%s: %d models, refused: %v", name, len(found.Sources), found.Refused)
		}
	}
}
