package ollama

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

var (
	hexA = strings.Repeat("a1", 32)
	hexB = strings.Repeat("b2", 32)
	hexC = strings.Repeat("c3", 32)
)

func layerText(role, hex, size string) string {
	return fmt.Sprintf(`{"mediaType":"application/vnd.ollama.image.%s","digest":"sha256:%s","size":%s}`, role, hex,
		size)
}

func manifestText(layers ...string) string {
	return `{"schemaVersion":2,"layers":[` + strings.Join(layers, ",") + `]}`
}

func TestRefusedManifests(t *testing.T) {
	good := layerText("model", hexA, "1")
	for name, test := range map[string]struct{ text, want string }{
		"empty":              {"", "not a manifest: the file is empty"},
		"zeros":              {"\x00\x00", "not a manifest: it has only zeros"},
		"null":               {"null", `not a manifest: it starts with "null"`},
		"byte order mark":    {"\ufeff" + manifestText(good), "a byte order mark"},
		"UTF-16":             {"\xff\xfe{\x00", "UTF-16"},
		"of an editor":       {"[.ShellClassInfo]\r\n", "not a manifest"},
		"no fields":          {"{}", "schemaVersion is 0"},
		"cut short":          {manifestText(good)[:80], "manifest: it is cut off: pull the model again"},
		"schema 1":           {`{"schemaVersion":1}`, "schemaVersion is 1"},
		"schema text":        {`{"schemaVersion":"2"}`, "manifest: json"},
		"layers no list":     {`{"schemaVersion":2,"layers":{"a":1}}`, "manifest: json"},
		"layer no object":    {manifestText("7"), "manifest: json"},
		"null layer":         {manifestText("null"), "layer 0"},
		"negative size":      {manifestText(good, layerText("license", hexB, "-1")), "layer 1: size is -1"},
		"size 2^63":          {manifestText(layerText("model", hexA, "9223372036854775808")), "manifest: json"},
		"size of a fraction": {manifestText(layerText("model", hexA, "1.5")), "manifest: json"},
		"no size":            {manifestText(`{"digest":"sha256:` + hexA + `"}`), "layer 0: it has no size"},
		"upper case":         {manifestText(`{"digest":"SHA256:` + hexA + `","size":1}`), "layer 0"},
		"short digest":       {manifestText(layerText("model", hexA[1:], "1")), "layer 0"},
		"digest as a path":   {manifestText(layerText("model", "../../../../etc/passwd", "1")), "layer 0"},
		"path after digest":  {manifestText(layerText("model", hexA+"/../x", "1")), "layer 0"},
		"other algorithm":    {manifestText(`{"digest":"sha512:` + hexA + `","size":1}`), "layer 0"},
		"no algorithm":       {manifestText(`{"digest":"` + hexA + `","size":1}`), "layer 0"},
		"new line":           {manifestText(layerText("model", hexA+`\n`, "1")), "layer 0"},
		"long digest": {manifestText(layerText("model", strings.Repeat("a", 1<<19), "1")),
			"a digest of 524295 characters"},
		"zero digest": {manifestText(layerText("model", strings.Repeat("0", 64), "1")), "all zeros"},
		"bad config":  {`{"schemaVersion":2,"config":{"digest":"x","size":1}}`, "manifest: config"},
		"two sizes": {manifestText(good, layerText("license", hexB, "2"), layerText("model", hexA, "3")),
			"layer 2: a1a1a1a1a1a1 has 3 bytes here and 1 in layer 0"},
		"two sizes, config": {`{"schemaVersion":2,"layers":[` + good + `],"config":` + layerText("x", hexA, "9") + `}`,
			"config: a1a1a1a1a1a1 has 9"},
		"too long":           {strings.Repeat(" ", MaxManifestBytes+1), "want at most"},
		"nested without end": {`{"schemaVersion":2,"x":` + strings.Repeat("[", 1<<19), "manifest: "},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ParseManifest([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%+v, %v: want an error with %q", m, err, test.want)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d characters", len(err.Error()))
			}
		})
	}
}

// TestReadManifests: what Ollama reads.
func TestReadManifests(t *testing.T) {
	good := manifestText(layerText("model", hexA, "1"))
	for _, text := range []string{good + "\n\n", good + `{"schemaVersion":1}`, good + "rest",
		manifestText(layerText("model", strings.ToUpper(hexA), "1"))} {
		m, err := ParseManifest([]byte(text))
		if err != nil || len(m.Layers) != 1 || m.Layers[0].Digest.String() != hexA {
			t.Errorf("%s: %+v, %v", text, m, err)
		}
	}
}

func TestRemoteHost(t *testing.T) {
	for config, want := range map[string]string{`{"remote_host":"https://ollama.com:443"}`: "https://ollama.com:443",
		`{"model_format":"gguf"}`: "", "": "", `{"remote_host":1}`: ""} {
		if got := RemoteHost([]byte(config)); got != want {
			t.Errorf("%s: %q, want %q", config, got, want)
		}
	}
}

func TestRoles(t *testing.T) {
	for mediaType, want := range map[string]ingest.Role{
		imagePrefix + "model": ingest.Weights, imagePrefix + "tensor; name=a.b; dtype=F32; shape=1,2": ingest.Weights,
		imagePrefix + "projector": ingest.Projector, imagePrefix + "adapter": ingest.Adapter,
		imagePrefix + "template; name=x": ingest.Template,
		imagePrefix + "params":           ingest.Params, imagePrefix + "license": ingest.License,
		imagePrefix + "system":   "system",
		imagePrefix + "messages": "messages", imagePrefix + "tokenizer.config": "tokenizer.config",
		"application/vnd.docker.container.image.v1+json": ingest.Config,
		imagePrefix + "config; type=gguf":                ingest.Config,
		"":                                               "other", imagePrefix: "other", "text/html": "other",
		imagePrefix + "../x":     "other",
		imagePrefix + "\x1b[31m": "other",
		imagePrefix + "manifest": "other", imagePrefix + "weights": "other",
		imagePrefix + strings.Repeat("x", 33): "other",
	} {
		if got := roleOfType(mediaType); got != want {
			t.Errorf("%q: role %q, want %q", mediaType, got, want)
		}
	}
}

func TestDigestTwice(t *testing.T) {
	m, err := ParseManifest([]byte(manifestText(layerText("license", hexA, "1"), layerText("license", hexA, "1"),
		layerText("params", hexB, "2"), layerText("model", hexB, "2"))))
	if err != nil {
		t.Fatal(err)
	}
	want := []Layer{
		{MediaType: imagePrefix + "license", Role: ingest.License, Digest: m.Layers[0].Digest, Size: 1},
		{MediaType: imagePrefix + "params", Role: ingest.Weights, Digest: m.Layers[1].Digest, Size: 2},
	}
	if !reflect.DeepEqual(m.Layers, want) {
		t.Errorf("%+v, want each digest once, and weights before other roles: %+v", m.Layers, want)
	}
}

func TestSource(t *testing.T) {
	m, err := ParseManifest([]byte(manifestText(layerText("license", hexB, "2"), layerText("adapter", hexC, "3"),
		layerText("model", hexA, "1"))))
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(missing ...string) Lookup {
		return func(d ingest.Digest) (ingest.SourceFile, error) {
			for _, hex := range missing {
				if hex == d.String() {
					return ingest.SourceFile{Path: "want-" + hex},
						&fs.PathError{Op: "lstat", Path: hex, Err: fs.ErrNotExist}
				}
			}
			return ingest.SourceFile{Path: "blob-" + d.String(), Root: "root"}, nil
		}
	}
	own := ingest.SourceFile{Path: "manifest", Root: "root"}
	source, missing, err := m.Source("n:t", own, lookup())
	var paths []string
	for _, file := range source.Files {
		paths = append(paths, string(file.Role)+" "+file.Path)
		if file.Root != "root" {
			t.Errorf("%s has root %q", file.Path, file.Root)
		}
	}
	want := []string{"weights blob-" + hexA, "adapter blob-" + hexC, "license blob-" + hexB, "manifest manifest"}
	if err != nil || len(missing) != 0 || !reflect.DeepEqual(paths, want) || source.Name != "n:t" ||
		source.URI != "ollama://n:t" {
		t.Errorf("%+v, %v, %v", source, missing, err)
	}
	source, missing, err = m.Source("n:t", own, lookup(hexB, hexC))
	if err != nil || len(source.Files) != 2 || len(missing) != 2 || missing[0].Path != "want-"+hexC ||
		missing[1].Reason.Error() != "n:t: license blob sha256-"+hexB+" named by the manifest is missing" {
		t.Errorf("%+v, %v, %v", source, missing, err)
	}
	_, missing, err = m.Source("n:t", own, lookup(hexA, hexB))
	if len(missing) != 2 || missing[0].Path != "want-"+hexA || !errors.Is(missing[0].Reason, ErrNoWeights) ||
		errors.Is(missing[1].Reason, ErrNoWeights) {
		t.Errorf("%+v: want both missing blobs", missing)
	}
	if !errors.Is(err, ErrNoWeights) || !strings.Contains(err.Error(),
		"weights blob sha256-"+hexA+" named by the manifest is missing") {
		t.Errorf("without weights: %v", err)
	}
	denied := errors.New("denied")
	_, _, err = m.Source("n:t", own, func(ingest.Digest) (ingest.SourceFile, error) {
		return ingest.SourceFile{}, denied
	})
	if !errors.Is(err, ErrNoWeights) || !errors.Is(err, denied) || strings.Contains(err.Error(), "is missing") {
		t.Errorf("with unreadable weights: %v", err)
	}
}

func TestNames(t *testing.T) {
	for path, want := range map[string]string{
		"registry.ollama.ai/library/llama3/latest": "llama3:latest",
		"registry.ollama.ai/me/x/7b-q4_K_M":        "me/x:7b-q4_K_M",
		"hf.co/me/x-GGUF/Q4":                       "hf.co/me/x-GGUF:Q4",
		"localhost:5000/library/x/v1.5":            "localhost:5000/library/x:v1.5",
	} {
		if got, err := Name(path); err != nil || got != want {
			t.Errorf("Name(%s) = %q, %v, want %s", path, got, err, want)
		}
	}
	for _, path := range []string{"", "x", "a/b/c", "a/b/c/d/e", "a/b/../d", "a/b//d", "a/b/c/", "/a/b/c", "a/b/c/d\n",
		"a/b/c/d:e",
		"a/b/c/\x1b[31m", "a/b/c/" + strings.Repeat("x", 129), `a/b/c/d\e`, "a/b/c/\xff", "a/b/c/.hidden",
		"a/b/c/d e"} {
		if got, err := Name(path); err == nil {
			t.Errorf("Name(%q) = %q", path, got)
		}
	}
}

func TestBlobNames(t *testing.T) {
	for _, name := range []string{"sha256-" + hexA, "sha256:" + hexA, "sha256-" + strings.ToUpper(hexA)} {
		digest, ok := BlobDigest(name)
		if !ok || digest.String() != hexA {
			t.Errorf("BlobDigest(%s) = %s, %v", name, digest, ok)
		}
		if names := BlobNames(digest); names[0] != "sha256-"+hexA || names[1] != "sha256:"+hexA {
			t.Errorf("BlobNames: %v", names)
		}
	}
	for _, name := range []string{"", hexA, "sha256-" + hexA + "-partial", "sha256_" + hexA, "SHA256-" + hexA,
		"sha256-" + hexA[2:] + "..", "sha256-" + strings.Repeat("0", 64)} {
		if _, ok := BlobDigest(name); ok {
			t.Errorf("%q was accepted as a blob's name", name)
		}
	}
}

// FuzzParseManifest: an accepted manifest is safe to use, and can be written and parsed again.
func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(manifestText(layerText("model", hexA, "1"), layerText("license", hexB, "0"))))
	f.Add([]byte(`{"schemaVersion":2,"config":` + layerText("x", hexA, "1") + `,"layers":[` +
		layerText("model", hexA, "1") + `]}`))
	f.Add([]byte(manifestText(layerText("model", "../"+hexA, "-1"))))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseManifest(text)
		if err != nil {
			if m != nil || len(err.Error()) > 2000 {
				t.Fatalf("an error of %d characters, manifest %v", len(err.Error()), m)
			}
			return
		}
		seen := map[ingest.Digest]bool{}
		var layers []string
		for _, layer := range m.Layers {
			if again, err := ingest.ParseDigest("sha256-" + layer.Digest.String()); err != nil ||
				again != layer.Digest || layer.Digest.IsZero() || seen[layer.Digest] {
				t.Fatalf("digest %s: %v, seen %v", layer.Digest, err, seen[layer.Digest])
			}
			seen[layer.Digest] = true
			if layer.Size < 0 {
				t.Fatalf("size %d", layer.Size)
			}
			if role := string(layer.Role); role == "" || len(role) > 32 ||
				strings.ContainsAny(role, "/\\ \n\x00\x1b") || layer.Role == ingest.Manifest {
				t.Fatalf("role %q", role)
			}
			for _, name := range BlobNames(layer.Digest) {
				if filepath.Base(name) != name || !filepath.IsLocal(name) {
					t.Fatalf("%q is not a file name", name)
				}
			}
			media, _ := json.Marshal(layer.MediaType)
			layers = append(layers, fmt.Sprintf(`{"mediaType":%s,"digest":"sha256:%s","size":%d}`, media, layer.Digest,
				layer.Size))
		}
		again, err := ParseManifest([]byte(manifestText(layers...)))
		if err != nil || len(again.Layers) != len(m.Layers) {
			t.Fatalf("written and parsed: %v", err)
		}
		checkSource(t, m)
	})
}

// checkSource checks the source of a manifest: each file once, weights first, the manifest last.
func checkSource(t *testing.T, m *Manifest) {
	source, _, err := m.Source("n:t", ingest.SourceFile{Path: "manifest"},
		func(d ingest.Digest) (ingest.SourceFile, error) {
			return ingest.SourceFile{Path: BlobNames(d)[0]}, nil
		})
	if err != nil {
		return
	}
	if len(source.Files) != len(m.Layers)+1 || source.Files[0].Role != ingest.Weights ||
		source.Files[len(m.Layers)].Role != ingest.Manifest {
		t.Fatalf("%d files of %d layers: %+v", len(source.Files), len(m.Layers), source.Files)
	}
}

// FuzzName: an accepted name is not a path to another place, and has no control characters.
func FuzzName(f *testing.F) {
	f.Add("registry.ollama.ai/library/llama3/latest")
	f.Add("a/../b/c")
	f.Fuzz(func(t *testing.T, path string) {
		name, err := Name(path)
		if err != nil {
			return
		}
		if !filepath.IsLocal(filepath.FromSlash(path)) || strings.Contains(name, "..") &&
			!strings.Contains(path, "..") ||
			strings.Count(path, "/") != 3 || strings.Count(name, "/") > 2 {
			t.Fatalf("%q gave %q", path, name)
		}
		for _, part := range strings.Split(name, "/") {
			if part == "" || part == "." || part == ".." || strings.Trim(part,
				"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-") != "" {
				t.Fatalf("%q gave %q", path, name)
			}
		}
	})
}

func TestPathIsTheInverseOfName(t *testing.T) {
	for _, at := range []string{"registry.ollama.ai/library/llama3/latest", "registry.ollama.ai/me/x/8b",
		"example.com:5000/library/x/Y", "hf.co/me/x-GGUF/Q4_K_M"} {
		name, err := Name(at)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Path(name); err != nil || got != at {
			t.Errorf("the path of %s is %s, %v, want %s", name, got, err, at)
		}
	}
	for _, name := range []string{"", "x", "x:", ":x", "a b:c", "../x:y", "a/b/c/d:e", "a/../x:y", "x:y/z", "x:y:z",
		"registry.ollama.ai/library/x:y", "registry.ollama.ai/me/x:y", "library/x:y", "/x:y"} {
		if at, err := Path(name); err == nil {
			t.Errorf("%q has the path %s", name, at)
		}
	}
}
