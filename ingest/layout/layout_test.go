package layout

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

func TestCheckPath(t *testing.T) {
	for path, c := range map[string]struct{ ok, onWindows bool }{
		"a.gguf": {true, true}, "a/b c/..d": {true, true}, "a b.gguf": {true, true}, "nulls/com10.x": {true, true},
		"": {}, ".": {}, "..": {}, "../a": {}, "a/../b": {}, "/a": {}, "a//b": {}, "a/": {}, "a/.": {}, "a\x00b": {},
		`a\b`: {ok: true}, `..\a`: {ok: true}, "sha256:00": {ok: true}, "C:a": {ok: true}, "a\nb": {ok: true},
		"a.": {ok: true}, "a /b": {ok: true}, "NUL": {ok: true}, "a/con.gguf": {ok: true}, "lpt1": {ok: true},
		strings.Repeat("x", 256): {onWindows: true}, "Aux .x": {ok: true}, "conin$": {ok: true}, "a\xff": {true, true},
	} {
		for windows, want := range map[bool]bool{false: c.ok, true: c.onWindows} {
			if err := checkPathOn(path, windows); (err == nil) != want {
				t.Errorf("%q, Windows %v: error is %v", path, windows, err)
			}
		}
	}
}

func TestFilesWithoutARecordedPathHaveTheirNames(t *testing.T) {
	id := func(n int64) ingest.FileID { return ingest.FileID(n) }
	name := ingest.Name{Files: []ingest.NamedFile{{ID: 1, Path: "sub/a"}, {ID: 2}, {ID: 3}, {ID: 4}, {ID: 5}}}
	m := Of(ingest.Summary{Names: []ingest.Name{name}, Files: []ingest.StoredFile{{ID: id(1), Name: "x"},
		{ID: id(2), Name: "b"}, {ID: id(3), Name: "b", Index: 2}, {ID: id(4), Name: "../.."}, {ID: id(5), Name: "../c"},
		{ID: id(6), Name: "another name's"}}}, name)
	zero := ingest.Digest{}.String()
	var got []string
	for _, f := range m.Under {
		got = append(got, f.Path)
	}
	if want := "sub/a b 2-" + zero + " " + zero + " c"; strings.Join(got, " ") != want {
		t.Errorf("paths are %s, want %s", got, want)
	}
}

func TestListsComeAfterTheFilesThatTheyName(t *testing.T) {
	name, s := ingest.Name{}, ingest.Summary{}
	for i, role := range []ingest.Role{ingest.Manifest, "index", ingest.Weights, ingest.Config} {
		s.Files = append(s.Files, ingest.StoredFile{ID: ingest.FileID(i + 1), Role: role})
		name.Files = append(name.Files, ingest.NamedFile{ID: ingest.FileID(i + 1), Path: string(role)})
	}
	s.Names = []ingest.Name{name}
	got := ""
	for _, e := range Original(Of(s, name)).Entries {
		got += e.Path + " "
	}
	if want := "weights config manifest index "; got != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
}

func TestFileName(t *testing.T) {
	zero := ingest.Digest{}.String()
	for name, want := range map[string]string{"a.gguf": "a.gguf", "../../a": "a", "/": zero, "": zero, "..": zero} {
		for _, name := range []string{name, filepath.FromSlash(name)} {
			if got := FileName(ingest.StoredFile{Name: name}); got != want {
				t.Errorf("%q is written as %q, want %q", name, got, want)
			}
		}
	}
}

func TestOllamaName(t *testing.T) {
	for name, want := range map[string]string{
		"tiny chat":                        "tiny-chat:latest",
		"Model.Q4_K_M.gguf":                "model.q4_k_m:latest",
		"me/My-GGUF@main/sub/My.Q8_0.gguf": "me/my-gguf:my.q8_0",
		"me/x@main":                        "me/x:main",
		"My.Org/Model:Tag":                 "my-org/model:tag",
		"https://host/a/b:c":               "a/b:c",
		"..":                               "model:latest",
		"":                                 "model:latest",
		"日本":                               "model:latest",
		"a:":                               "a:model",
		strings.Repeat("x", 90) + ".gguf":  strings.Repeat("x", 80) + ":latest",
		"lmstudio/Repo-GGUF/file.gguf":     "repo-gguf/file:latest",
		"../../etc/passwd":                 "etc/passwd:latest",
		"a\x1b[31m/b":                      "a-31m/b:latest",
		strings.Repeat("a", 79) + ".b":     strings.Repeat("a", 79) + ":latest",
		"hf.co/me/x:Q4_K_M":                "me/x:q4_k_m",
	} {
		if got := OllamaName(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[int64][2]string{0: {"0", "0K"}, 999: {"999", "1K"}, 196_864: {"197K", "196.9K"},
		1_000_000: {"1M", "1M"}, 134_515_008: {"134.52M", "134.5M"}, 8_030_261_312: {"8.0B", "8B"},
		70_553_706_496: {"70.6B", "70.6B"}, 1_040_000_000_000: {"1040.0B", "1T"}} {
		if got := [2]string{ollamaSize(n), packSize(n)}; got != want {
			t.Errorf("%d is %v, want %v", n, got, want)
		}
	}
}

func TestRefOfASnapshot(t *testing.T) {
	const c = "0123"
	for _, test := range []struct{ uri, path, want string }{
		{"hf://me/x@main/a.gguf", "models--me--x/snapshots/" + c + "/a.gguf", "models--me--x/refs/main"},
		{"hf://me/x@refs/pr/1/s", "h/models--me--x/snapshots/" + c + "/s/model.safetensors",
			"h/models--me--x/refs/refs/pr/1"},
		{"hf://me/x@v1/q/m.gguf", "models--me--x/snapshots/" + c + "/q/m-00001-of-00003.gguf", "models--me--x/refs/v1"},
		{"hf://me/x@main", "models--me--x/snapshots/" + c + "/model.safetensors", "models--me--x/refs/main"},
		{"hf://me/x@" + c + "/a.gguf", "models--me--x/snapshots/" + c + "/a.gguf", ""}, // never a ref
		{"hf://me/x@main/a.gguf", "a.gguf", ""},
		{"hf://me/x@../../x", "models--me--x/snapshots/" + c + "/m.gguf", "models--me--x/refs/../../x"}, // not valid
		{"file:///snapshots/0/a@b", "models--me--x/snapshots/" + c + "/a.gguf", ""},
	} {
		m := Model{Alias: ingest.Alias{URI: test.uri}, Under: []File{{Path: test.path}}}
		got, _ := hubRef(m)
		if got.Path != test.want {
			t.Errorf("%s: the ref is %q, want %q", test.uri, got.Path, test.want)
		}
		if test.want != "" && string(got.Content) != c {
			t.Errorf("%s: the ref has %q", test.uri, got.Content)
		}
	}
}

func TestIndexKeepsOtherModels(t *testing.T) {
	var tag string
	add := func(present []byte, name, digest string) []byte {
		t.Helper()
		text, err := imageIndex("", name, descriptor{Digest: "sha256:" + digest}, &tag).Merge(present)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	text := add([]byte(`{"schemaVersion":2,"x":1,"manifests":[{"digest":"sha256:other","y":[1]}]}`), "a:b", "11111111")
	text = add(text, "a-b", "22222222")
	if tag != "a-b-22222222" {
		t.Errorf("the tag is %s", tag)
	}
	if again := add(text, "a-b", "22222222"); string(again) != string(text) {
		t.Errorf("added twice: %s", again)
	}
	text = add(text, "a:b", "33333333")
	var index struct {
		X         int
		Manifests []struct {
			Digest      string
			Y           []int
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, m := range index.Manifests {
		got += m.Digest + " " + m.Annotations["org.opencontainers.image.ref.name"] + "\n"
	}
	if want := "sha256:other \nsha256:33333333 a-b\nsha256:22222222 a-b-22222222\n"; got != want || index.X != 1 ||
		len(index.Manifests[0].Y) != 1 {
		t.Errorf("the index is %s", text)
	}
	for _, text := range []string{"", "<html>", "null", "[]", `{"manifests":1}`, `{"manifests":[1]}`} {
		if _, err := imageIndex("", "a", descriptor{}, new(string)).Merge([]byte(text)); err == nil {
			t.Errorf("%q, which is no index, was replaced", text)
		}
	}
	for _, foreign := range []string{`{"org.opencontainers.image.ref.name":"a"}`,
		`{"io.containerd.image.name":"a","org.opencontainers.image.ref.name":"v1"}`} {
		foreign = `{"manifests":[{"digest":"sha256:11111111","annotations":` + foreign + `}]}`
		if same := add([]byte(foreign), "a", "11111111"); strings.Count(string(same), "11111111") != 1 {
			t.Errorf("the manifest was added twice: %s", same)
		}
		if !strings.Contains(foreign, `ref.name":"`+tag+`"`) {
			t.Errorf("the tag is %s, not that of %s", tag, foreign)
		}
	}
}

func TestListOfDockerModelRunnerKeepsFields(t *testing.T) {
	m, manifest := Model{Alias: ingest.Alias{Name: "a:1"}}, &File{}
	own := digestText(ingest.Digest{})
	for present, want := range map[string]string{
		"": `{"models":[{"id":"` + own + `","tags":["a:1"],"files":null}]}`,
		`{"x":1,"models":[{"id":"sha256:other","y":2}]}`: `{"models":[{"id":"sha256:other","y":2},{"id":"` + own +
			`","tags":["a:1"],"files":null}],"x":1}`,
		`{"models":[{"id":"` + own + `","tags":["b:1"],"y":2}]}`: `{"models":[{"id":"` + own +
			`","tags":["b:1","a:1"],"y":2}]}`,
		`{"models":[{"id":"` + own + `","tags":["index.docker.io/a:1"]}], "y":2}`: `{"models":[{"id":"` + own +
			`","tags":["index.docker.io/a:1"]}], "y":2}`,
		"null": "", `{"models":[1]}`: "",
	} {
		text := []byte(present)
		if present == "" {
			text = nil
		}
		if got, err := runnerList("", m, manifest).Merge(text); string(got) != want && (want != "" || err == nil) {
			t.Errorf("%s: got %s, %v, want %s", present, got, err, want)
		}
	}
}

// TestOCINamesNoPathOutside: tools write the files of an image at the paths in its manifest.
func TestOCINamesNoPathOutside(t *testing.T) {
	for path, ok := range map[string]bool{"a/b": true, "../../b": false} {
		m := Model{Under: []File{{Path: "a/a"}, {Path: path}}}
		if _, err := OCI(m, nil); (err == nil) != ok {
			t.Errorf("%s: error is %v", path, err)
		}
	}
}

func TestRepositoryOfFiles(t *testing.T) {
	for _, c := range []struct{ paths, root string }{
		{"a", ""}, {"x/a x/b", "x/"}, {"x/y/a x/b", "x/"}, {"x/a xy/b", ""}, {"a x/b", ""},
		{"m/snapshots/0/q/a m/snapshots/0/q/b", "m/snapshots/0/"}, {"snapshots/0/q/a", "snapshots/0/"},
	} {
		var files []File
		for path := range strings.FieldsSeq(c.paths) {
			files = append(files, File{Path: path})
		}
		if got := commonFolder(files); got != c.root {
			t.Errorf("%s: the repository is %q, want %q", c.paths, got, c.root)
		}
	}
}

func TestOllamaOfAFile(t *testing.T) {
	file := func(id ingest.FileID, role ingest.Role, format, name string) ingest.StoredFile {
		return ingest.StoredFile{ID: id, Role: role, Format: format, Name: name, Bytes: int64(id),
			Digest: ingest.Sum([]byte(name))}
	}
	name := ingest.Name{Alias: ingest.Alias{Name: "Tiny Chat.gguf"}}
	s := ingest.Summary{Architecture: "llama", Parameters: 8_030_261_312, Names: []ingest.Name{name},
		Metadata: json.RawMessage(`{"general.file_type":15,"general.type":"model"}`), Files: []ingest.StoredFile{
			file(1, ingest.Weights, "gguf", "w"), file(2, ingest.Projector, "gguf", "p"),
			file(3, ingest.License, "opaque", "l"), file(4, ingest.Template, "opaque", "x.jinja")}}
	for _, f := range s.Files {
		name.Files = append(name.Files, ingest.NamedFile{ID: f.ID, Path: f.Name})
	}
	s.Names[0] = name
	l, err := Ollama(Of(s, name), nil)
	if err != nil {
		t.Fatal(err)
	}
	id := func(text string) string { return "sha256:" + ingest.Sum([]byte(text)).String() }
	config := `{"model_format":"gguf","model_family":"llama","model_families":["llama","clip"],"model_type":"8.0B",` +
		`"file_type":"Q4_K_M","architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["` +
		id("w") + `","` + id("p") + `","` + id("l") + `"]}}`
	n := len(l.Entries)
	if got := string(l.Entries[n-2].Content); got != config {
		t.Errorf("the configuration is %s, want %s", got, config)
	}
	manifest := `{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{` +
		`"mediaType":"application/vnd.docker.container.image.v1+json","digest":"` + id(config) + `","size":` +
		strconv.Itoa(len(config)) + `},"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"` +
		id("w") + `","size":1},{"mediaType":"application/vnd.ollama.image.projector","digest":"` + id("p") +
		`","size":2},{"mediaType":"application/vnd.ollama.image.license","digest":"` + id("l") + `","size":3}]}`
	if got := string(l.Entries[n-1].Content); got != manifest {
		t.Errorf("the manifest is %s, want %s", got, manifest)
	}
	if at := l.Entries[n-1].Path; at != "manifests/registry.ollama.ai/library/tiny-chat/latest" || len(l.Left) != 1 {
		t.Errorf("the manifest is at %s, and %v is left out", at, l.Left)
	}
	for want, change := range map[string]func(*ingest.Summary){
		"and this is safetensors": func(s *ingest.Summary) { s.Files[0].Format = "safetensors" },
		"split into 2 files":      func(s *ingest.Summary) { s.Files[1].Role = ingest.Weights },
		"it has no weights":       func(s *ingest.Summary) { s.Files[0].Role = ingest.Config },
		"but of type adapter": func(s *ingest.Summary) {
			s.Metadata = json.RawMessage(`{"general.type":"adapter"}`)
		},
	} {
		changed := s
		changed.Files = slices.Clone(s.Files)
		change(&changed)
		if _, err := Ollama(Of(changed, name), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}
