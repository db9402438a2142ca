package format

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
	"github.com/hartonomous/ingest/ingest/format/safetensors"
	"github.com/hartonomous/ingest/ingest/format/safetensors/safetensorstest"
)

// written returns a source of files, which it writes unless they exist.
func written(t *testing.T, files map[string][]byte, paths ...string) ingest.Source {
	t.Helper()
	source := ingest.Source{}
	folder := t.TempDir()
	for _, path := range paths {
		if content, ok := files[path]; ok {
			path = filepath.Join(folder, path)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		source.Files = append(source.Files, ingest.SourceFile{Path: path, Root: filepath.Dir(path),
			Role: ingest.Weights, ExpectedBytes: -1})
	}
	return source
}

func tensorsOf(f *ingest.File) (lines []string) {
	for _, t := range f.Tensors {
		lines = append(lines, fmt.Sprintf("%s %s %v %d at %d, %d bytes in blocks of %d and %d", t.Name, t.Type, t.Shape,
			t.Elements, t.Offset, t.Bytes, t.BlockElements, t.BlockBytes))
	}
	return lines
}

// sharded are two files of one model, with types of all kinds.
var sharded = map[string][]byte{
	"model-00001-of-00002.safetensors": safetensorstest.File{
		Metadata: []string{"format", "pt", "long", strings.Repeat("x", 5000)},
		Tensors: []safetensorstest.Tensor{
			{Name: "embed", Dtype: "BF16", Shape: []uint64{3, 4}}, {Name: "packed", Dtype: "F4", Shape: []uint64{6}},
			{Name: "scale", Dtype: "F8_E8M0", Shape: []uint64{5}}, {Name: "none", Dtype: "F32", Shape: []uint64{0}},
		}}.Bytes(),
	"model-00002-of-00002.safetensors": safetensorstest.File{
		Metadata: []string{"format", "mlx"},
		Tensors: []safetensorstest.Tensor{
			{Name: "six", Dtype: "F6_E3M2", Shape: []uint64{2, 4}},
			{Name: "odd", Dtype: "Q\x1b[2J", Shape: []uint64{7}, Data: make([]byte, 9)},
			{Name: "last", Dtype: "I64"},
		}}.Bytes(),
}

func TestParseSafetensors(t *testing.T) {
	m, err := Parser{}.Parse(t.Context(), written(t, sharded, "model-00001-of-00002.safetensors",
		"model-00002-of-00002.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Type != Safetensors || m.Architecture != "" || m.Name != "001" ||
		len(m.Files) != 2 || m.Files[1].Format != Safetensors || m.Parameters() != 12+6+5+8+7+1 {
		t.Errorf("%+v", m)
	}
	const metadata = `{"format":"pt","long":{"type":"string","length":5000,"first":"xxx`
	if !json.Valid(m.Metadata) || !strings.HasPrefix(string(m.Metadata), metadata) {
		t.Errorf("metadata is %.100s", m.Metadata)
	}
	first := m.Files[0].Bytes - (24 + 3 + 5)
	second := m.Files[1].Bytes - (6 + 9 + 8)
	for i, want := range [][]string{{
		fmt.Sprintf("embed BF16 [3 4] 12 at %d, 24 bytes in blocks of 1 and 2", first),
		fmt.Sprintf("packed F4 [6] 6 at %d, 3 bytes in blocks of 2 and 1", first+24),
		fmt.Sprintf("scale F8_E8M0 [5] 5 at %d, 5 bytes in blocks of 1 and 1", first+27),
		fmt.Sprintf("none F32 [0] 0 at %d, 0 bytes in blocks of 1 and 4", first+32),
	}, {
		fmt.Sprintf("six F6_E3M2 [2 4] 8 at %d, 6 bytes in blocks of 4 and 3", second),
		fmt.Sprintf("odd Q\x1b[2J [7] 7 at %d, 9 bytes in blocks of 0 and 1", second+6),
		fmt.Sprintf("last I64 [] 1 at %d, 8 bytes in blocks of 1 and 8", second+15),
	}} {
		if got := tensorsOf(&m.Files[i]); !slices.Equal(got, want) {
			t.Errorf("got  %s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		checkCovered(t, &m.Files[i])
	}
	notes := m.Warnings()
	if len(notes) != 1 || notes[0].Reason.Error() !=
		`1 tensor of unknown type "Q\x1b[2J"` {
		t.Errorf("warnings %v", notes)
	}
}

// checkCovered checks that a plan covers the file exactly, with a segment for each tensor that has
// bytes.
func checkCovered(t *testing.T, f *ingest.File) {
	t.Helper()
	plan, err := ingest.NewPlan(f, 0)
	if err != nil {
		t.Fatal(err)
	}
	at, covered := int64(0), map[int]int64{}
	for s := range plan.All() {
		if s.Offset != at {
			t.Errorf("segment at %d, want %d", s.Offset, at)
		}
		at = s.End()
		covered[s.Tensor] += s.Bytes
	}
	if at != f.Bytes {
		t.Errorf("the plan ends at %d of %d", at, f.Bytes)
	}
	for i := range f.Tensors {
		if covered[i] != f.Tensors[i].Bytes {
			t.Errorf("%d bytes of %+v", covered[i], f.Tensors[i])
		}
	}
}

// TestParseWarnings: there is a limit to the unknown types that are named.
func TestParseWarnings(t *testing.T) {
	file := safetensorstest.File{}
	for i := range 30 {
		file.Tensors = append(file.Tensors, safetensorstest.Tensor{Name: fmt.Sprint(i),
			Dtype: safetensors.Dtype(fmt.Sprintf("X%02d", i/2)), Data: []byte{0}})
	}
	extra := safetensorstest.Raw(`{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":1,"y":[2]}}`, []byte{0})
	m, err := Parser{}.Parse(t.Context(), written(t, map[string][]byte{"a": file.Bytes(), "b": extra}, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, note := range m.Warnings() {
		got = append(got, note.Reason.Error())
	}
	if len(got) != 12 || got[0] != "2 tensors of unknown type X00" ||
		got[10] != "tensors of 5 more unknown types" ||
		got[11] != "2 fields of tensors not in the format: ignored, and stored with the header" {
		t.Errorf("warnings %q", got)
	}
}

// TestParseByContent: the content of an intact file counts, not its name.
func TestParseByContent(t *testing.T) {
	whole := sharded["model-00001-of-00002.safetensors"]
	ggufFile := gguftest.Model(gguftest.ModelOptions{Layers: 1, Vocabulary: 4}).Bytes()
	for _, row := range []struct {
		name    string
		content []byte
		opaque  bool
		format  string
		refused string // part of the error, or of the warning if opaque
	}{
		{"sha256-abc", whole, false, Safetensors, ""},
		{"a.gguf", whole, false, Safetensors, ""},
		{"a.safetensors", ggufFile, false, GGUF, ""},
		{"a.SafeTensors", whole[:len(whole)-1], false, "",
			"refused as a safetensors file: offset LEN: the file is truncated: its tensors end at offset "},
		{"a", whole[:len(whole)-1], false, "", "1 bytes are missing (`ingest models --opaque` keeps it as a blob)"},
		{"a", whole[:len(whole)-1], true, Opaque, "kept as a blob: offset LEN: the file is truncated"},
		{"a.safetensors", []byte("<html>"), false, "", "offset 0: not a safetensors file: it is a web page"},
		{"a.safetensors", []byte("<html>"), true, Opaque, ""},
		{"a.safetensors", nil, false, "", "it is empty"},
		{"a.bin", []byte("<html>"), false, Opaque, ""},
		{"a.gguf", []byte("<html>"), false, "", "refused as a GGUF file"},
	} {
		t.Run(fmt.Sprint(row.name, len(row.content), row.opaque), func(t *testing.T) {
			m, err := Parser{Opaque: row.opaque}.Parse(t.Context(),
				written(t, map[string][]byte{row.name: row.content}, row.name))
			got, why := "", ""
			if err != nil {
				why = err.Error()
			} else if got = m.Files[0].Format; len(m.Files[0].Warnings) > 0 {
				why = m.Files[0].Warnings[0]
			}
			want := strings.Replace(row.refused, "LEN", fmt.Sprint(len(row.content)), 1)
			if got != row.format || !strings.Contains(why, want) || want == "" && why != "" {
				t.Errorf("format %q, %s; want %q, %s", got, why, row.format, want)
			}
		})
	}
}

// TestParseLimits: the headers of a model share the memory, and a limit or the end of the run does
// not make a file invalid.
func TestParseLimits(t *testing.T) {
	file := safetensorstest.File{}
	for i := range 100 {
		file.Tensors = append(file.Tensors, safetensorstest.Tensor{Name: fmt.Sprint(i), Dtype: "U8"})
	}
	source := written(t, map[string][]byte{"a": file.Bytes(), "b": file.Bytes()}, "a", "b")
	for _, of := range []ingest.Source{{Files: source.Files[:1]}, source} {
		last := of.Files[len(of.Files)-1].Path
		for memory := int64(1); ; memory += 16 {
			_, err := Parser{HeaderBytes: memory, Opaque: true}.Parse(t.Context(), of)
			if err == nil {
				_, err = Parser{HeaderBytes: memory - 16, Opaque: true}.Parse(t.Context(), of)
				if err == nil || !strings.Contains(err.Error(), last) || memory < int64(len(of.Files))*20_000 {
					t.Errorf("%d bytes are enough, less: %v", memory, err)
				}
				break
			}
			if !strings.Contains(err.Error(), "use a larger --memory") {
				t.Fatal(err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Parser{Opaque: true}).Parse(ctx, source); err == nil {
		t.Error("parsed after the end of the run")
	}
}

// TestParseRealSafetensors parses the real files, and the cases after public reports.
func TestParseRealSafetensors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata(t, "safetensors"), "*", "*.safetensors"))
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	cases := filepath.Join(testdata(t, ""), "..", "cases", "sources")
	for _, pattern := range []string{"40-*/*/*.safetensors", "16-*/*/blobs/sha256-[6b]*"} {
		more, err := filepath.Glob(filepath.Join(cases, filepath.FromSlash(pattern)))
		if err != nil || len(more) == 0 {
			t.Fatalf("no files %s, %v", pattern, err)
		}
		files = append(files, more...)
	}
	for _, path := range files {
		m, err := Parser{}.Parse(t.Context(), written(t, nil, path))
		if err != nil {
			t.Error(err)
			continue
		}
		if m.Type != Safetensors || len(m.Files[0].Tensors) == 0 || len(m.Warnings()) != 0 || !json.Valid(m.Metadata) {
			t.Errorf("%s: %s, %d tensors, warnings %v", path, m.Type, len(m.Files[0].Tensors), m.Warnings())
		}
		checkCovered(t, &m.Files[0])
	}
	for name, want := range map[string]string{
		"empty.safetensors": "it is empty", "gated.safetensors": `it is text: "Access to model demo/x is restricted`,
		"model-00001-of-00002.safetensors": "it is a Git LFS pointer: `git lfs pull` fetches the file",
	} {
		_, err := Parser{}.Parse(t.Context(), written(t, nil, filepath.Join(cases, "24-pointers", "repo", name)))
		want = "refused as a safetensors file: offset 0: not a safetensors file: " + want
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
