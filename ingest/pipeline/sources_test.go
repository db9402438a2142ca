package pipeline_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

// file returns a source of one file of weights, like a blob without a manifest.
func file(path string) ingest.Source {
	return ingest.Source{URI: "test://" + filepath.Base(path), Files: []ingest.SourceFile{{Path: path,
		Role: ingest.Weights, ExpectedBytes: -1}}}
}

// named returns a source with a name, weights and templates.
func named(name, weights string, templates ...string) ingest.Source {
	source := file(weights)
	source.Name, source.URI = name, "ollama://"+name
	for _, path := range templates {
		source.Files = append(source.Files, ingest.SourceFile{Path: path, Role: ingest.Template, ExpectedBytes: -1})
	}
	return source
}

// expecting returns file with an expected digest.
func expecting(path string, digest ingest.Digest) ingest.Source {
	source := file(path)
	source.Files[0].Expected = digest
	return source
}

// write creates a file and returns its path.
func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// noise returns n bytes that depend on seed.
func noise(n int, seed uint64) []byte {
	p := make([]byte, n)
	gguftest.Fill(p, seed, 0)
	return p
}

// blob creates a file of n bytes without a format.
func blob(t *testing.T, path string, n int, seed uint64) string {
	t.Helper()
	return write(t, path, noise(n, seed))
}

// model creates a GGUF file of about n bytes, like that of a language model.
func model(t *testing.T, path string, n int64, seed uint64) string {
	t.Helper()
	create(t, path, gguftest.Model(gguftest.ModelOptions{Name: filepath.Base(path), Bytes: n, Layers: 1, Seed: seed}))
	return path
}

func create(t *testing.T, path string, f gguftest.File) string {
	t.Helper()
	if err := f.Create(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// mixed returns a GGUF file with types of several block sizes, tensors out of order, gaps, a tensor
// of zero elements, one of an unknown type, a scalar, and bytes after the last tensor.
func mixed() gguftest.File {
	return gguftest.File{
		KVs: []gguftest.KV{{Key: "general.architecture", Value: "llama"}, {Key: "general.name", Value: "Motley"},
			{Key: "llama.context_length", Value: uint32(4096)}},
		Tensors: []gguftest.Tensor{
			{Name: "blk.0.attn_q.weight", Type: gguf.TypeQ4K, Shape: []uint64{256, 9000}},
			{Name: "blk.0.attn_v.weight", Type: gguf.TypeQ6K, Shape: []uint64{256, 500}},
			{Name: "token_embd.weight", Type: gguf.TypeF16, Shape: []uint64{1024, 1024}, Gap: 100_000},
			{Name: "strange", Type: 99, Shape: []uint64{1000}, Bytes: 5000},
			{Name: "none", Type: gguf.TypeF32, Shape: []uint64{4, 0}},
			{Name: "scalar", Type: gguf.TypeF32},
			{Name: "output_norm.weight", Type: gguf.TypeF32, Shape: []uint64{2048}},
			{Name: "blk.0.ffn_up.weight", Type: gguf.TypeQ8_0, Shape: []uint64{32, 40_000}, Gap: 1_200_000},
			{Name: "rope", Type: gguf.TypeBF16, Shape: []uint64{3, 5, 7}},
		},
		Order:    []int{6, 0, 3, 2, 1, 4, 5, 7, 8},
		Unpadded: true,
		Trailing: noise(70_001, 7),
	}
}

// splits creates a split model of three files.
func splits(t *testing.T, folder string) ingest.Source {
	t.Helper()
	source := ingest.Source{URI: "test://split"}
	for i, name := range []string{"s-00001-of-00003.gguf", "s-00002-of-00003.gguf", "s-00003-of-00003.gguf"} {
		path := filepath.Join(folder, name)
		f := gguftest.File{Seed: uint64(i) + 1, KVs: []gguftest.KV{{Key: "split.no", Value: uint16(i)},
			{Key: "split.count", Value: uint16(3)}}}
		if i == 0 {
			f.KVs = append(f.KVs, gguftest.KV{Key: "general.name", Value: "Split"},
				gguftest.KV{Key: "general.architecture", Value: "llama"})
		}
		f.Tensors = []gguftest.Tensor{{Name: "a" + name[:7], Type: gguf.TypeF32, Shape: []uint64{300, 1000}},
			{Name: "b" + name[:7], Type: gguf.TypeQ4_0, Shape: []uint64{32, 100}}}
		create(t, path, f)
		source.Files = append(source.Files, ingest.SourceFile{Path: path, Role: ingest.Weights, ExpectedBytes: -1})
	}
	return source
}
