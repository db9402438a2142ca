package pipeline_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestFindModel: an id, a name or the start of a digest; an error lists the models if several fit.
func TestFindModel(t *testing.T) {
	h := storeHome(t)
	folder := t.TempDir()
	a, b, c := blob(t, filepath.Join(folder, "a"), 100, 1), blob(t, filepath.Join(folder, "b"), 100, 2),
		blob(t, filepath.Join(folder, "c"), 100, 3)
	license := blob(t, filepath.Join(folder, "license"), 100, 4)
	h.ingest(t, named("llama:7b", a, license))
	h.ingest(t, named("llama:8b", b, license))
	h.ingest(t, named("alias", a, license), named("12345678", c))
	h.ingest(t, named("alias", b))
	h.ingest(t, named(sum(t, a).String()[:8], c)) // looks like a digest
	h.ingest(t, named(sum(t, a).String(), c), named("sha256:"+sum(t, b).String()[:10], c),
		named(ingest.Sum(nil).String(), c))
	id := map[string]ingest.ModelID{}
	for _, m := range h.models(t) {
		id[m.Files[0].Name] = m.ID
	}
	whole := func(path string) string { return sum(t, path).String() }
	for reference, want := range map[string]string{ // the first file of each model that fits
		fmt.Sprint(id["b"]):              "b",
		"llama:7b":                       "a",
		"12345678":                       "c",
		whole(a):                         "a", // not the model that has this name
		"sha256:" + whole(b)[:10]:        "b",
		"sha256:" + whole(a)[:8]:         "a",
		"SHA256:" + whole(a)[:6]:         "a",
		"sha256-" + whole(a)[:8]:         "a",
		ingest.Sum(nil).String():         "", // a name, but no file has this digest
		"sha256:" + whole(b)[:5]:         "",
		"sha512:" + whole(b):             "",
		"sha256:" + whole(b):             "b",
		"sha256-" + whole(b):             "b",
		strings.ToUpper(whole(c)):        "c",
		whole(b)[:6]:                     "b",
		whole(a)[:8]:                     "c",
		whole(a)[:9]:                     "a",
		"alias":                          "a b",
		whole(license):                   "a b",
		whole(b)[:5]:                     "",
		"":                               "",
		"llama":                          "a b", // the repository of their URIs
		"999":                            "",
		"-1":                             "",
		strings.Repeat("9", 30):          "",
		whole(a) + "0":                   "",
		strconv.FormatInt(1<<32+1, 10):   "",
		ingest.Sum([]byte("x")).String(): "",
		ingest.Digest{}.String():         "",
		"sha256:":                        "",
	} {
		m, err := ingest.FindModel(t.Context(), h.catalog, reference)
		var several *ingest.AmbiguousError
		switch {
		case want == "":
			if !errors.Is(err, ingest.ErrNotFound) {
				t.Errorf("%q: model %d, %v", reference, m.ID, err)
			}
		case strings.Contains(want, " "):
			if !errors.As(err, &several) || len(several.Models) != 2 || several.Reference != reference ||
				!strings.Contains(err.Error(), fmt.Sprint(id["b"])) {
				t.Errorf("%q: %v", reference, err)
			}
		case err != nil || m.ID != id[want]:
			t.Errorf("%q: model %d, %v, want %d", reference, m.ID, err, id[want])
		}
	}
}
