package format

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// names returns the names of the files that Find finds, sorted, once each.
func names(t *testing.T, root string, given ...string) (all []string) {
	t.Helper()
	for i := range given {
		given[i] = filepath.Join(root, given[i])
	}
	found, err := Find(t.Context(), given)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range found.Sources {
		for _, f := range s.Files {
			all = append(all, f.Name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestNamesAreRelativeToTheGivenFolder(t *testing.T) {
	hub, snapshot := "hub/models--me--x", "hub/models--me--x/snapshots/"+commit
	store := "ram/store/ollama/library/m"
	root := folder(t, map[string]string{
		"a/one.gguf": "", "a/mmproj-one.gguf": "", "a/b/model.safetensors": "", "a/b/config.json": "{}",
		"a/c/x-00001-of-00002.gguf": "", "a/c/x-00002-of-00002.gguf": "", "a/link": "-> b",
		hub + "/blobs/" + weightsHex: "", hub + "/refs/main": commit,
		snapshot + "/sub/y.gguf":            "-> ../../../blobs/" + weightsHex,
		store + "/blobs/sha256-" + otherHex: "", store + "/refs/latest.json": `{"hash":"s"}`,
		store + "/snapshots/s/m.gguf": "-> ../../blobs/sha256-" + otherHex,
	})
	y := "models--me--x/snapshots/" + commit + "/sub/y.gguf"
	m := "store/ollama/library/m/snapshots/s/m.gguf"
	b := []string{"config.json", "model.safetensors"}
	below := func(folder string, names []string) (all []string) {
		for _, name := range names {
			all = append(all, folder+name)
		}
		return all
	}
	one := []string{"mmproj-one.gguf", "one.gguf"}
	parts := []string{"x-00001-of-00002.gguf", "x-00002-of-00002.gguf"}
	for given, want := range map[string][]string{
		"a":               slices.Concat(below("b/", b), below("c/", parts), one),
		"a/b":             b,
		"a/link":          b,
		"a/b a":           slices.Concat(below("b/", b), below("c/", parts), one),
		"a/one.gguf":      one,
		"a/one.gguf a/b":  slices.Concat(b, one),
		"a/c/" + parts[1]: parts,
		"hub":             {y},
		".": slices.Concat(below("a/b/", b), below("a/c/", parts), below("a/", one),
			[]string{"hub/" + y, "ram/" + m}),
		hub:                          {y},
		snapshot:                     {y},
		snapshot + "/sub/y.gguf":     {y},
		hub + "/blobs/" + weightsHex: {y},
		hub + "/refs/main a":         slices.Concat(below("b/", b), below("c/", parts), one, []string{y}),
		"ram/store":                  {m},
		store:                        {m},
		store + "/snapshots":         {m},
	} {
		paths := strings.Fields(given)
		slices.Sort(want)
		if got := names(t, root, paths...); !slices.Equal(got, want) {
			t.Errorf("%s: names are\n%s, want\n%s", given, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestNamesOfLayouts(t *testing.T) {
	runner := sourceCase(t, "13-docker-model-runner")
	store := filepath.Join(testdata(t, "ollama"), "ollama-testdata-store", "models")
	for _, c := range []struct {
		root, given string
		folders     []string
	}{
		{runner, ".", []string{"models/blobs/sha256", "models/manifests/sha256"}},
		{runner, "models/models.json", []string{"blobs/sha256", "manifests/sha256"}},
		{runner, "models/bundles", []string{"blobs/sha256", "manifests/sha256"}},
		{store, "manifests/example.com", []string{"blobs", "manifests/example.com/library/smol"}},
	} {
		var folders []string
		for _, name := range names(t, c.root, c.given) {
			folders = append(folders, path.Dir(name))
		}
		if folders = slices.Compact(folders); !slices.Equal(folders, c.folders) {
			t.Errorf("%s: the names are in %v, want %v", c.given, folders, c.folders)
		}
	}
}
