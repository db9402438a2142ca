// Command sample writes the small models in scripts/sample/models: two files that share all tensors
// except one, so that a first run shows what sharing saves. Run it in the top folder of the
// repository:
//
//	go run ./scripts/sample
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "sample: unexpected arguments: it writes to scripts/sample/models")
		os.Exit(2)
	}
	folder := filepath.Join("scripts", "sample", "models")
	for name, file := range map[string]gguftest.File{"tiny.gguf": model("tiny", 1),
		"tiny-chat.gguf": model("tiny chat", 2)} {
		path := filepath.Join(folder, name)
		if err := file.Create(path); err != nil {
			fmt.Fprintln(os.Stderr, "sample:", err)
			os.Exit(1)
		}
		fmt.Println(path, file.Size(), "bytes")
	}
}

// model returns a model whose output tensor depends on tune, and no other tensor.
func model(name string, tune uint64) gguftest.File {
	const width, vocabulary = 256, 128
	tensor := func(name string, t gguf.Type, seed uint64, shape ...uint64) gguftest.Tensor {
		return gguftest.Tensor{Name: name, Type: t, Shape: shape, Seed: seed}
	}
	return gguftest.File{
		KVs: []gguftest.KV{
			{Key: "general.architecture", Value: "llama"},
			{Key: "general.name", Value: name},
			{Key: "general.license", Value: "mit"},
			{Key: "llama.context_length", Value: uint32(512)},
			{Key: "llama.embedding_length", Value: uint32(width)},
			{Key: "llama.block_count", Value: uint32(1)},
			{Key: "tokenizer.ggml.tokens", Value: []string{"<s>", "</s>", "hello", "world"}},
		},
		Tensors: []gguftest.Tensor{
			tensor("token_embd.weight", gguf.TypeQ4K, 11, width, vocabulary),
			tensor("blk.0.attn_norm.weight", gguf.TypeF32, 12, width),
			tensor("blk.0.attn_q.weight", gguf.TypeQ4K, 13, width, width),
			tensor("blk.0.ffn_up.weight", gguf.TypeQ8_0, 14, width, width),
			tensor("output.weight", gguf.TypeQ6K, 100+tune, width, vocabulary),
		},
	}
}
