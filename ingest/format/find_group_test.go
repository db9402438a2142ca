package format

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/safetensors/safetensorstest"
)

const index = `{"metadata":{"total_size":8},"weight_map":{"a":"m-00001-of-00002.safetensors",` +
	`"b":"m-00002-of-00002.safetensors"}}`

func TestFindRepositories(t *testing.T) {
	for name, test := range map[string]struct {
		files                     map[string]string
		given                     string
		sources, skipped, refused []string
	}{
		"an index with other names": {files: map[string]string{"r/one.safetensors": "", "r/two.safetensors": "",
			"r/x.safetensors.index.json": `{"weight_map":{"b":"two.safetensors","a":"one.safetensors"}}`,
			"r/three.safetensors":        ""},
			sources: []string{"weights r/one.safetensors, weights r/two.safetensors", "weights r/three.safetensors"},
			skipped: []string{".: 1 other file"}},
		"without an index": {files: map[string]string{"r/m-00001-of-00002.safetensors": "",
			"r/m-00002-of-00002.safetensors": "", "r/config.json": "{}", "r/LICENSE.txt": "", "r/run.py": ""},
			sources: []string{"weights r/m-00001-of-00002.safetensors, weights r/m-00002-of-00002.safetensors, " +
				"license r/LICENSE.txt, config r/config.json"},
			skipped: []string{".: 1 other file"}},
		"a missing shard": {files: map[string]string{"r/m-00001-of-00002.safetensors": "",
			"r/model.safetensors.index.json": index},
			skipped: []string{".: 1 other file"},
			refused: []string{"r/model.safetensors.index.json: part 2 of 2 is missing: " +
				"ROOT/r/m-00002-of-00002.safetensors"}},
		"no shard": {files: map[string]string{"r/model.safetensors.index.json": index, "r/config.json": "{}"},
			skipped: []string{".: 2 other files"}},
		"an unfinished shard": {files: map[string]string{"r/m-00001-of-00002.safetensors": "",
			"r/m-00002-of-00002.safetensors.part": "", "r/model.safetensors.index.json": index},
			skipped: []string{".: 1 other file", "r/m-00002-of-00002.safetensors.part: an unfinished download",
				"r/model.safetensors.index.json: part 2 of 2, m-00002-of-00002.safetensors: an unfinished download"}},
		"a shard in flight": {files: map[string]string{"r/m-00001-of-00002.gguf": "", "r/m-00002-of-00002.gguf": "",
			"r/m-00002-of-00002.gguf.aria2": ""},
			skipped: []string{"r/m-00001-of-00002.gguf: part 2 of 2, m-00002-of-00002.gguf: an unfinished",
				"r/m-00002-of-00002.gguf: an unfinished download: m-00002-of-00002.gguf.aria2 is beside it",
				"r/m-00002-of-00002.gguf.aria2: an unfinished download"}},
		"PEFT": {files: map[string]string{"r/adapter_model.safetensors": "", "r/adapter_config.json": "{}",
			"r/tokenizer.model": "", "r/chat_template.jinja": ""},
			sources: []string{"weights r/adapter_model.safetensors, config r/adapter_config.json, " +
				"template r/chat_template.jinja, tokenizer r/tokenizer.model"}},
		"MLX, its configuration given": {files: map[string]string{"r/model.safetensors": "", "r/config.json": "{}",
			"r/model.safetensors.index.json": `{"weight_map":{"a":"model.safetensors"}}`, "r/vocab.json": ""},
			given: "r/model.safetensors",
			sources: []string{"weights r/model.safetensors, config r/config.json, " +
				"index r/model.safetensors.index.json, tokenizer r/vocab.json"}},
		"adapters of many models": {files: map[string]string{"r/one.safetensors": "", "r/two.safetensors": "",
			"r/README.md": ""}, sources: []string{"weights r/one.safetensors", "weights r/two.safetensors"},
			skipped: []string{".: 1 other file"}},
		"a hostile index": {files: map[string]string{"r/a.safetensors": "", "secret": "",
			"r/model.safetensors.index.json": `{"weight_map":{"a":"../secret","b":"a.safetensors"}}`},
			sources: []string{"weights r/a.safetensors"}, skipped: []string{".: 2 other files"},
			refused: []string{`r/model.safetensors.index.json: index of weights: it names the file "../secret"`}},
		"projectors": {files: map[string]string{"r/own-Q4_K.gguf": "", "r/own-Q8_0.gguf": "", "r/other.gguf": "",
			"r/mmproj-own-f16.gguf": "", "r/mtp-own.gguf": "", "s/a.gguf": "", "s/b.gguf": "", "s/mmproj-BF16.gguf": "",
			"t/mmproj-model-f16.gguf": ""},
			sources: []string{"weights r/other.gguf",
				"weights r/own-Q4_K.gguf, projector r/mmproj-own-f16.gguf, draft r/mtp-own.gguf",
				"weights r/own-Q8_0.gguf, projector r/mmproj-own-f16.gguf, draft r/mtp-own.gguf",
				"weights s/a.gguf, projector s/mmproj-BF16.gguf", "weights s/b.gguf, projector s/mmproj-BF16.gguf",
				"weights t/mmproj-model-f16.gguf"}},
		"a projector given": {files: map[string]string{"r/own.gguf": "", "r/mmproj-own.gguf": ""},
			given: "r/mmproj-own.gguf", sources: []string{"weights r/mmproj-own.gguf"}},
		"the model of a projector given": {files: map[string]string{"r/own.gguf": "", "r/mmproj-own.gguf": "",
			"r/z.gguf": ""}, given: "r/own.gguf", sources: []string{"weights r/own.gguf, projector r/mmproj-own.gguf"}},
		"beside the model of a projector": {files: map[string]string{"r/own.gguf": "", "r/mmproj-own.gguf": "",
			"r/z.gguf": ""}, given: "r/z.gguf", sources: []string{"weights r/z.gguf"}},
		"llama.cpp's cache": {files: map[string]string{"c/me_x-GGUF_x-Q4.gguf": "", "c/me_x-GGUF_x-Q4.gguf.etag": "",
			"c/me_x-GGUF_mmproj-x.gguf": "", "c/me_y-GGUF_sub_y.gguf": "",
			"c/manifest=me=x-GGUF=latest.json": `{"ggufFile":{"rfilename":"x-Q4.gguf"},"mmprojFile":` +
				`{"rfilename":"mmproj-x.gguf"}}`,
			"c/manifest=me=y-GGUF=Q4.json":    `{"ggufFile":{"rfilename":"sub/y.gguf"}}`,
			"c/manifest=me=none=latest.json":  `{"ggufFile":{"rfilename":"../../etc/passwd"}}`,
			"c/manifest=me=wrong=latest.json": `{`},
			sources: []string{"me/x-GGUF:latest weights c/me_x-GGUF_x-Q4.gguf, projector c/me_x-GGUF_mmproj-x.gguf",
				"me/y-GGUF:Q4 weights c/me_y-GGUF_sub_y.gguf"},
			skipped: []string{".: 2 other files"}, refused: []string{"c/manifest=me=wrong=latest.json: "}},
		"LM Studio": {files: map[string]string{".lmstudio/models/me/x/a-00001-of-00002.gguf": "",
			".lmstudio/models/me/x/a-00002-of-00002.gguf": "", ".lmstudio/models/me/x/deep/b.gguf": ""},
			given: ".lmstudio/models",
			sources: []string{"weights .lmstudio/models/me/x/deep/b.gguf", "me/x/a.gguf weights " +
				".lmstudio/models/me/x/a-00001-of-00002.gguf, weights .lmstudio/models/me/x/a-00002-of-00002.gguf"}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.given == "" {
				test.given = "."
			}
			sources, skipped, refused := find(t, folder(t, test.files), test.given)
			expect(t, "sources", sources, test.sources)
			expect(t, "skipped", skipped, test.skipped)
			expect(t, "refused", refused, test.refused)
		})
	}
}

// TestFindSharedShards: two folders that share shards by links are two models.
func TestFindSharedShards(t *testing.T) {
	root := folder(t, map[string]string{"a/x-00001-of-00002.gguf": "", "a/x-00002-of-00002.gguf": "",
		"b/x-00001-of-00002.gguf": "", "b/x-00002-of-00002.gguf": "-> ../a/x-00002-of-00002.gguf"})
	err := os.Link(filepath.Join(root, "a", "x-00001-of-00002.gguf"), filepath.Join(root, "b", "hard.gguf"))
	if err != nil {
		t.Skip("no hard links here:", err)
	}
	sources, _, refused := find(t, root, ".")
	expect(t, "sources", sources, []string{"weights a/x-00001-of-00002.gguf, weights a/x-00002-of-00002.gguf",
		"weights b/hard.gguf", "weights b/x-00001-of-00002.gguf, weights b/x-00002-of-00002.gguf"})
	expect(t, "refused", refused, nil)
}

// TestParseIndex: the tensors of the shards are compared with the index.
func TestParseIndex(t *testing.T) {
	tensor := func(name string) string {
		return string(safetensorstest.File{Tensors: []safetensorstest.Tensor{{Name: name, Dtype: "U8"}}}.Bytes())
	}
	map1 := `"a":"m-00001-of-00002.safetensors"`
	for weightMap, want := range map[string]string{
		map1 + `,"b":"m-00002-of-00002.safetensors"`:                                          "[]",
		map1 + `,"b":"m-00001-of-00002.safetensors","c":"m-00002-of-00002.safetensors"`:       "2",
		map1 + `,"lm_head":"m-00002-of-00002.safetensors","b":"m-00002-of-00002.safetensors"`: "lm_head",
	} {
		root := folder(t, map[string]string{"m-00001-of-00002.safetensors": tensor("a"),
			"m-00002-of-00002.safetensors": tensor("b"),
			"model.safetensors.index.json": `{"weight_map":{` + weightMap + `}}`,
			"config.json":                  `{"model_type":"llama","max_position_embeddings":4096,"hidden_size":64}`})
		found, err := Find(t.Context(), []string{root})
		if err != nil || len(found.Sources) != 1 {
			t.Fatal(found, err)
		}
		m, err := Parser{}.Parse(t.Context(), found.Sources[0])
		if err != nil {
			t.Fatal(err)
		}
		notes := m.Warnings()
		if m.Architecture != "llama" || m.Details.ContextLength != 4096 || m.Details.EmbeddingLength != 64 ||
			m.Name != "m.safetensors" {
			t.Errorf("%+v", m)
		}
		switch want {
		case "[]":
			if len(notes) != 0 {
				t.Error(notes)
			}
		case "2":
			if len(notes) != 2 || notes[0].Reason.Error() !=
				"no file has 1 tensor that it names (tied ones are often in none): c" ||
				notes[1].Reason.Error() != "another file than it says has 1 tensor: b" {
				t.Error(notes)
			}
		default:
			if len(notes) != 1 || !strings.HasSuffix(notes[0].Reason.Error(), ": "+want) {
				t.Error(notes)
			}
		}
	}
}

// TestFindManyFiles: a folder of unrelated files is counted without opening or keeping them.
func TestFindManyFiles(t *testing.T) {
	root := t.TempDir()
	for i := range 10_000 {
		if i%100 == 0 {
			if err := os.MkdirAll(filepath.Join(root, fmt.Sprint(i/100)), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		extension := []string{"txt", "json", "go", "jpg"}[i%4]
		path := filepath.Join(root, fmt.Sprint(i/100), fmt.Sprintf("%d.%s", i, extension))
		if err := os.WriteFile(path, nil, 0o000); err != nil { // cannot be opened
			t.Fatal(err)
		}
	}
	found, err := Find(t.Context(), []string{root})
	if err != nil || len(found.Sources)+len(found.Refused) != 0 || len(found.Skipped) != 1 ||
		!strings.HasPrefix(found.Skipped[0].Reason.Error(), "10000 other files") {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestFindGivenFiles: files that are given together are the models that they are in their folder.
func TestFindGivenFiles(t *testing.T) {
	root := folder(t, map[string]string{"a.gguf": "", "b.gguf": "", "mmproj-b.gguf": "", "c.gguf": "",
		"m-00001-of-00002.safetensors": "", "m-00002-of-00002.safetensors": "", "model.safetensors.index.json": index,
		"x.safetensors": "", "y.safetensors.part": "",
		"x.safetensors.index.json": `{"weight_map":{"a":"x.safetensors","b":"y.safetensors"}}`})
	sources, skipped, refused := find(t, root, "b.gguf", "m-00002-of-00002.safetensors", "a.gguf", "x.safetensors",
		"model.safetensors.index.json")
	expect(t, "sources", sources, []string{"weights a.gguf", "weights b.gguf, projector mmproj-b.gguf",
		"weights m-00001-of-00002.safetensors, weights m-00002-of-00002.safetensors", "weights x.safetensors"})
	expect(t, "skipped", skipped, []string{"x.safetensors.index.json: part 2 of 2, y.safetensors: an unfinished"})
	expect(t, "refused", refused, nil)
}

// TestFindManyProjectors: a folder of many projectors without the names of models does not need memory
// for all pairs, and all of them are found.
func TestFindManyProjectors(t *testing.T) {
	const each = 100
	files := map[string]string{}
	for i := range each {
		files[fmt.Sprintf("model%d.gguf", i)], files[fmt.Sprintf("mmproj-x%d.gguf", i)] = "", ""
	}
	root := folder(t, files)
	found, err := Find(t.Context(), []string{root})
	if err != nil {
		t.Fatal(err)
	}
	all, paths := 0, map[string]bool{}
	for _, s := range found.Sources {
		for _, f := range s.Files {
			all++
			paths[f.Path] = true
		}
	}
	if len(paths) != 2*each || all > 18*each {
		t.Errorf("%d files of %d, %d times", len(paths), 2*each, all)
	}
}
