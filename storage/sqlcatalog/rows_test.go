package sqlcatalog

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hartonomous/ingest/ingest"
)

func TestJobMetadataRoundTrip(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "utf-8") {
			return rapid.String().Draw(t, "text")
		}
		return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
	})
	rapid.Check(t, func(t *rapid.T) {
		var m jobMetadata
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			m.Paths = append(m.Paths, text.Draw(t, "path"))
			m.Problems = append(m.Problems, ingest.Problem{Path: text.Draw(t, "path"), Reason: text.Draw(t, "reason")})
			if m.Options == nil {
				m.Options = map[string]string{}
			}
			m.Options[rapid.StringMatching(`[a-z]+`).Draw(t, "key")] = text.Draw(t, "value")
		}
		encoded := m.encode()
		if !json.Valid([]byte(encoded)) {
			t.Fatalf("%q is not JSON", encoded)
		}
		if got, err := parseJobMetadata(encoded); err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%+v became %+v: %v", m, got, err)
		}
	})
}

func TestJobMetadataIsReadable(t *testing.T) {
	m := jobMetadata{Paths: []string{"/models", "/\xff"}, Options: map[string]string{"store": "dir:/x"},
		Problems: []ingest.Problem{{Path: "/a", Reason: "short"}}, Succeeded: 2}
	const want = `{"paths":["/models",{"base64":"L/8="}],"options":{"store":"dir:/x"},` +
		`"problems":[{"path":"/a","reason":"short"}],"succeeded":2}`
	if got := m.encode(); got != want {
		t.Errorf("metadata is %s, want %s", got, want)
	}
	if got, err := parseJobMetadata(""); err != nil || !reflect.DeepEqual(got, jobMetadata{}) {
		t.Errorf("no text is %+v: %v", got, err)
	}
	if _, err := parseJobMetadata("{"); err == nil {
		t.Error("half an object was read")
	}
}

func TestNewFileAtom(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 3600))
	file := ingest.StoredFile{Path: `D:\Models\blobs\sha256-ab`, Role: ingest.Weights, Bytes: 18_556_688_736,
		Tensors: 3, Digest: ingest.Sum(nil)}
	got := newFileAtom(ingest.Alias{Name: "llama4:latest", URI: "ollama://llama4:latest"}, &file, now)
	want := fileAtomRow{Subtype: "llm", SourceURI: "ollama://llama4:latest", SourceType: ollamaSource,
		PayloadLocator: file.Path,
		Metadata: `{"model_name":"llama4:latest","size_bytes":18556688736,"size_gb":18.55,` +
			`"file_path":"D:\\Models\\blobs\\sha256-ab",` +
			`"ollama_digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",` +
			`"registered_at":"2026-01-02T02:04:05Z"}`}
	if got != want {
		t.Errorf("atom is %+v, want %+v", got, want)
	}
	file.Role, file.Tensors = ingest.Template, 0
	got = newFileAtom(ingest.Alias{Name: "x", URI: "file:///x"}, &file, now)
	if got.SourceType != fileSource || got.Subtype != "" || !json.Valid([]byte(got.Metadata)) {
		t.Errorf("atom is %+v", got)
	}
}

func TestContentKey(t *testing.T) {
	file := func(role ingest.Role, content string) ingest.StoredFile {
		f := ingest.StoredFile{Role: role}
		if content != "" {
			f.Digest = ingest.Sum([]byte(content))
		}
		return f
	}
	a, b, template := file(ingest.Weights, "a"), file(ingest.Weights, "b"), file(ingest.Template, "t")
	both := append(a.Digest[:len(a.Digest):len(a.Digest)], b.Digest[:]...)
	for name, c := range map[string]struct {
		files []ingest.StoredFile
		want  ingest.Digest
	}{
		"nothing":            {nil, ingest.Digest{}},
		"no weights":         {[]ingest.StoredFile{template}, ingest.Digest{}},
		"one file":           {[]ingest.StoredFile{a, template}, a.Digest},
		"two files":          {[]ingest.StoredFile{a, template, b}, ingest.Sum(both)},
		"one of two unknown": {[]ingest.StoredFile{a, file(ingest.Weights, "")}, ingest.Digest{}},
	} {
		if got := ingest.ContentKey(c.files); got != c.want {
			t.Errorf("%s: key is %s, want %s", name, got, c.want)
		}
	}
	if ingest.ContentKey([]ingest.StoredFile{a, b}) == ingest.ContentKey([]ingest.StoredFile{b, a}) {
		t.Error("the order makes no difference")
	}
}
