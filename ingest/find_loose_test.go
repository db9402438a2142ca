package ingest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"testing"
)

func TestRepository(t *testing.T) {
	for uri, want := range map[string]string{
		"hf://owner/name@main/folder/a.gguf":    "owner/name",
		"lmstudio://owner/name/a.gguf":          "owner/name",
		"ollama://llama3:latest":                "llama3",
		"ollama://hf.co/owner/name:Q8_0":        "hf.co/owner/name",
		"oci://localhost:5000/ai/demo":          "localhost:5000/ai/demo",
		"oci://localhost:5000/ai/demo:1":        "localhost:5000/ai/demo",
		"ramalama://owner/name:Q4":              "owner/name",
		"file:///srv/owner/name@main/a:b.gguf":  "",
		"file://":                               "",
		"":                                      "",
		"D:\\models\\\nhf\\snapshots":           "",
		"hf://" + strings.Repeat("x/", 5) + "@": "x/x/x/x/x/",
	} {
		if got := repository(uri); got != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
}

// shelf is a reader of models in memory.
type shelf struct {
	Reader // nil
	models []Summary
	read   int // models that Models has yielded
}

func (s *shelf) Models(context.Context) iter.Seq2[Summary, error] {
	return func(yield func(Summary, error) bool) {
		for _, m := range s.models {
			if s.read++; !yield(m, nil) {
				return
			}
		}
	}
}

func (s *shelf) Model(_ context.Context, id ModelID) (Summary, error) {
	if id < 1 || int(id) > len(s.models) {
		return Summary{}, ErrNotFound
	}
	return s.models[id-1], nil
}

func (s *shelf) ModelsNamed(_ context.Context, name string) (ids []ModelID, err error) {
	for _, m := range s.models {
		for _, n := range m.Names {
			if n.Name == name {
				ids = append(ids, m.ID)
			}
		}
	}
	return ids, nil
}

func (s *shelf) ModelsWithDigest(context.Context, DigestPrefix) ([]ModelID, error) { return nil, nil }

// add adds a model with the paths of its weights and then its names, each NAME=URI.
func (s *shelf) add(paths string, names ...string) {
	m := Summary{ID: ModelID(len(s.models) + 1), State: ModelComplete}
	for _, path := range strings.Fields(paths) {
		m.Files = append(m.Files, StoredFile{Path: path, Name: filepath.Base(path), Role: Weights})
	}
	for _, text := range names {
		name, uri, _ := strings.Cut(text, "=")
		m.Names = append(m.Names, Name{Alias: Alias{Name: name, URI: uri}})
	}
	m.Name = m.Names[0].Name
	s.models = append(s.models, m)
}

func newShelf() *shelf {
	s := &shelf{}
	s.add("/a/demo-Q8_0.gguf", "owner/demo-GGUF@main/demo-Q8_0.gguf=hf://owner/demo-GGUF@main/demo-Q8_0.gguf")
	s.add("/a/x-00001-of-00002.gguf /a/x-00002-of-00002.gguf", "general=file:///a/x-00001-of-00002.gguf")
	s.add("/b/y.gguf", "llama3:latest=ollama://llama3:latest", "llama3:8b=ollama://llama3:8b", "y=")
	s.add("/b/z.gguf", "mine:1=ollama://hf.co/me/mine:1")
	s.add("/c/y.gguf", "mine:2=ollama://hf.co/me/mine:2")
	s.add("/c/mine", "z.gguf=file:///c/mine")
	s.add("/d/gone.gguf", "gone=file:///d/gone.gguf")
	s.models[6].State = ModelRemoving
	s.add("/e/w.gguf", "other=ollama://mine:3")
	s.add("/f/cafe\u0301.gguf", "cafe\u0301:latest=file:///f/cafe\u0301.gguf")
	s.add("/f/ni\u00f1o.gguf", "ni\u00f1o=file:///f/ni\u00f1o.gguf")
	s.models[0].Files = append(s.models[0].Files, StoredFile{Path: "/a/config.json", Name: "config.json", Role: Config})
	return s
}

// TestFindNamed: an exact name is better than a path or a URI, and so on; which name a reference means.
func TestFindNamed(t *testing.T) {
	for reference, want := range map[string]string{
		"owner/demo-GGUF":                        "1 owner/demo-GGUF@main/demo-Q8_0.gguf",
		"owner/demo-GGUF@main":                   "1 owner/demo-GGUF@main/demo-Q8_0.gguf",
		"owner/demo-GGUF@mai":                    "not found",
		"demo-GGUF":                              "1 owner/demo-GGUF@main/demo-Q8_0.gguf",
		"demo-Q8_0.gguf":                         "1 owner/demo-GGUF@main/demo-Q8_0.gguf",
		"/a/config.json":                         "1 owner/demo-GGUF@main/demo-Q8_0.gguf",
		"config.json":                            "not found",
		"owner":                                  "not found",
		"o-GGUF":                                 "not found",
		"x.gguf":                                 "2 general",
		"x-00002-of-00002.gguf":                  "2 general",
		"x":                                      "not found",
		"3":                                      "3 ",
		"llama3":                                 "3 llama3:latest",
		"llama3:8b":                              "3 llama3:8b",
		"ollama://llama3:8b":                     "3 llama3:8b",
		"ollama://llama3":                        "3 llama3:latest",
		"ollama://hf.co/me/mine":                 "not found",
		"/b/y.gguf":                              "gives 3 names",
		"y.gguf":                                 "fits 3 5",
		"z.gguf":                                 "6 z.gguf",
		"/b/z.gguf":                              "4 mine:1",
		"mine":                                   "6 z.gguf", // a file name is better than a repository
		"me/mine":                                "fits 4 5",
		"hf.co/me/mine":                          "fits 4 5",
		"gone.gguf":                              "not found",
		"sha256:abcdef":                          "not found",
		"file:///a/x-00001-of-00002.gguf":        "2 general",
		"caf\u00e9":                              "9 cafe\u0301:latest",
		"caf\u00e9.gguf":                         "9 cafe\u0301:latest",
		"/f/caf\u00e9.gguf":                      "9 cafe\u0301:latest",
		"cafe\u0301":                             "9 cafe\u0301:latest",
		"nin\u0303o":                             "10 ni\u00f1o",
		"nin\u0303o.gguf":                        "10 ni\u00f1o",
		"caf\u00eb":                              "not found",
		"":                                       "not found",
		"/":                                      "not found",
		strings.Repeat("ab", 32):                 "not found",
		"sha256-" + strings.Repeat("ab", 32):     "not found",
		"\x00" + strings.Repeat("\xff\n%s", 999): "not found",
	} {
		m, name, err := FindNamed(t.Context(), newShelf(), reference)
		got := fmt.Sprint(m.ID, " ", name)
		var several *AmbiguousError
		switch {
		case errors.As(err, &several):
			got = "fits"
			for _, m := range several.Models {
				got += fmt.Sprint(" ", m.ID)
			}
		case errors.Is(err, ErrNotFound) && len(err.Error()) < 1000:
			got = "not found"
		case err != nil && strings.Contains(err.Error(), `fits model 3, which has 3 names`):
			got = "gives 3 names"
		case err != nil:
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.99q: %s, want %s", reference, got, want)
		}
		if found, err := FindModel(t.Context(), newShelf(), reference); want == "gives 3 names" &&
			(err != nil || found.ID != 3) {
			t.Errorf("%s: %v, %v", reference, found.ID, err)
		}
	}
	s := newShelf()
	for _, exact := range []string{"1", "general", "llama3", strings.Repeat("ab", 32)} {
		FindModel(t.Context(), s, exact)
	}
	if s.read > 0 {
		t.Errorf("%d models were read for names, ids and digests", s.read)
	}
}

// TestAmbiguousIsShort: an error lists at most maxFitting models, and cuts long names.
func TestAmbiguousIsShort(t *testing.T) {
	s := &shelf{}
	for range 1000 {
		s.add("/p/a.gguf", strings.Repeat("漢", 5000)+"=")
	}
	for _, reference := range []string{"a.gguf", strings.Repeat("漢", 5000)} {
		_, err := FindModel(t.Context(), s, reference)
		var several *AmbiguousError
		if !errors.As(err, &several) || len(several.Models) != maxFitting || several.More != 1000-maxFitting {
			t.Fatal(err)
		}
		text := err.Error()
		if !strings.Contains(text, " fits 1000 models: name one by its id\n  1  漢") || len(text) > 9000 ||
			!strings.HasSuffix(text, "\n  20  "+short(strings.Repeat("漢", 5000), 80)+"  /p/a.gguf\n  and 980 more") {
			t.Error(text)
		}
	}
}
