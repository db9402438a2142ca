package migrate

import (
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// TestPathHash compares with HASHBYTES of nvarchar in T-SQL.
func TestPathHash(t *testing.T) {
	for path, want := range map[string]string{
		"":   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"ab": ingest.Sum([]byte("a\x00b\x00")).String(),
		"😀":  ingest.Sum([]byte("\x3d\xd8\x00\xde")).String(),
	} {
		if got := pathHash(path).String(); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
}

func TestClaims(t *testing.T) {
	file, other := ingest.Sum([]byte("file")), ingest.Sum([]byte("other"))
	named := `D:\Models\blobs\sha256-` + file.String()
	const plain = "/models/m.gguf"
	says := func(d ingest.Digest) string { return `{"ollama_digest":"sha256:` + d.String() + `"}` }
	for name, c := range map[string]struct {
		hash              ingest.Digest
		path, metadata    string
		want              ingest.Digest
		ofPath, odd, fail bool
	}{
		"right":                                {hash: file, path: plain, want: file},
		"right by its name":                    {hash: file, path: named, want: file},
		"right by its name, with colon":        {hash: file, path: "/x/sha256:" + file.String(), want: file},
		"right by its metadata":                {hash: file, path: plain, metadata: says(file), want: file},
		"hash of the path, digest in the name": {hash: pathHash(named), path: named, want: file, ofPath: true},
		"hash of the path, digest in metadata": {hash: pathHash(plain), path: plain, metadata: says(file),
			want: file, ofPath: true},
		"hash of the path, no digest": {hash: pathHash(plain), path: plain, ofPath: true},
		"hash of an earlier path": {hash: pathHash(plain), path: "/moved", want: file, ofPath: true,
			metadata: `{"file_path":"` + plain + `","ollama_digest":"sha256-` + file.String() + `"}`},
		"hash of the empty path": {hash: pathHash(""), path: plain, metadata: `{"file_path":""}`,
			want: pathHash("")},
		"name and metadata differ":  {hash: file, path: named, metadata: says(other), fail: true},
		"name and hash differ":      {hash: other, path: named, fail: true},
		"metadata and hash differ":  {hash: other, path: plain, metadata: says(file), fail: true},
		"metadata is not JSON":      {hash: file, path: plain, metadata: `{`, want: file, odd: true},
		"metadata is not an object": {hash: file, path: plain, metadata: `[1]`, want: file, odd: true},
		"metadata is null":          {hash: file, path: plain, metadata: `null`, want: file},
		"the digest is null":        {hash: file, path: plain, metadata: `{"ollama_digest":null}`, want: file},
		"the digest is a number":    {hash: file, path: plain, metadata: `{"ollama_digest":1}`, want: file, odd: true},
		"the digest is malformed": {hash: file, path: plain, metadata: `{"ollama_digest":"sha256:xy"}`, want: file,
			odd: true},
		"another key": {hash: file, path: plain, metadata: `{"size_gb":1.5,"file_path":7}`,
			want: file},
		"a longer name": {hash: file, path: named + ".bak", want: file},
		"a name in upper case": {hash: file, path: "/x/sha256-" + strings.ToUpper(other.String()),
			want: file},
		"a folder with a digest as name": {hash: file, path: "/sha256-" + other.String() + "/m", want: file},
	} {
		got, err := claimOf(ingest.FileAtom{Digest: c.hash, Locator: c.path, Metadata: json.RawMessage(c.metadata)})
		if (err != nil) != c.fail || err == nil &&
			(got.digest != c.want || got.hashesPath != c.ofPath || (got.note != "") != c.odd) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	c := claim{digest: file, by: "its name"}
	err := c.refuse(&ingest.MismatchError{Want: file, Got: other})
	if !strings.Contains(err.Error(), "its name claims") {
		t.Error(err)
	}
	if err := (claim{}).refuse(&ingest.MismatchError{Want: file, Got: other}); err != ingest.ErrChanged {
		t.Error(err)
	}
	if err := errors.New("x"); c.refuse(err) != err {
		t.Error("another error was changed")
	}
}

func TestPaths(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the paths are not those of Windows")
	}
	maps := Paths{}
	for _, text := range []string{`D:\Models\=/mnt/models/`, `d:\models\blobs=/blobs`, `\\server\share=/share`,
		"/old=/new", "/old/deep/=/deep"} {
		m, err := ParseMapping(text)
		if err != nil {
			t.Fatal(err)
		}
		maps.Maps = append(maps.Maps, m)
	}
	for locator, want := range map[string]string{
		`D:\Models\a.gguf`:      "/mnt/models/a.gguf",
		`d:/MODELS\x/y\z`:       "/mnt/models/x/y/z",
		`D:\Models\blobs\s`:     "/blobs/s",
		`D:\Models\BLOBS`:       "/blobs",
		`D:\Models\blobsy`:      "/mnt/models/blobsy",
		`\\SERVER\share\a`:      "/share/a",
		`//server/share/a`:      "/share/a",
		"/old/a":                "/new/a",
		"/old/deep/a":           "/deep/a",
		"/old/deeper":           "/new/deeper",
		"/OLD/a":                "/OLD/a",
		"/older/a":              "/older/a",
		`/old/a\b`:              `/new/a\b`,
		"/other/a":              "/other/a",
		`D:\Models`:             "",
		`E:\a`:                  "",
		`D:\Models\..\..\etc\p`: "",
		"/old/../etc/passwd":    "",
		`D:\Models\a\..\b`:      "",
		"relative":              "",
		"":                      "",
		"/a\x00b":               "",
	} {
		got, err := maps.Local(locator)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is at %q, want %q: %v", locator, got, want, err)
		}
	}
	for _, text := range []string{"", "x", "=/x", "x=", "x=relative"} {
		if m, err := ParseMapping(text); err == nil {
			t.Errorf("%q is %+v", text, m)
		}
	}
}

func TestBaseName(t *testing.T) {
	for path, want := range map[string]string{`D:\a\b`: "b", "/a/b": "b", `/a\b`: "b", "b": "b", "a/": "", "": ""} {
		if got := baseName(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
