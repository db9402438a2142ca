package gguftest

import (
	"fmt"

	"github.com/hartonomous/ingest/ingest/format/gguf"
)

// ModelOptions are the options of [Model]. The zero value is a small model.
type ModelOptions struct {
	// Name of the model; empty means "test".
	Name string
	// Bytes is the size of the file, accurate to 1% unless it is too small for the layers; 0 means
	// 64 MiB.
	Bytes int64
	// Layers is the number of blocks; 0 means 4.
	Layers int
	// Vocabulary is the number of tokens in the metadata; 0 means 256.
	Vocabulary int
	// Seed selects the data. Models that differ only in Seed have equal headers and share no
	// tensors.
	Seed uint64
}

// Model describes a file like those of llama.cpp for the architecture "llama" with Q4_K_M
// quantization: an embedding, blocks of attention, feed-forward and norm tensors, and an output.
// The types are Q4_K, Q6_K and F32.
func Model(o ModelOptions) File {
	o = o.defaults()
	width := o.width()
	f := File{Seed: o.Seed, KVs: o.metadata(width)}
	q4, q6 := gguf.TypeQ4K, gguf.TypeQ6K
	embedding := Tensor{Name: "token_embd.weight", Type: q4, Shape: []uint64{width, 1}}
	output := Tensor{Name: "output.weight", Type: q6, Shape: []uint64{width, 1}}
	f.Tensors = append(f.Tensors, embedding)
	for i := range o.Layers {
		f.Tensors = append(f.Tensors, block(i, width)...)
	}
	f.Tensors = append(f.Tensors, Tensor{Name: "output_norm.weight", Shape: []uint64{width}}, output)

	// Rows of embedding and output fill the rest of the size.
	row := embedding.Size() + output.Size()
	rows := uint64(max(1, (o.Bytes-f.Size())/row+1))
	f.Tensors[0].Shape = []uint64{width, rows}
	f.Tensors[len(f.Tensors)-1].Shape = []uint64{width, rows}
	return f
}

func (o ModelOptions) defaults() ModelOptions {
	if o.Name == "" {
		o.Name = "test"
	}
	if o.Bytes <= 0 {
		o.Bytes = 64 << 20
	}
	if o.Layers <= 0 {
		o.Layers = 4
	}
	if o.Vocabulary <= 0 {
		o.Vocabulary = 256
	}
	return o
}

// width returns the largest multiple of 256 for which the blocks take at most nine tenths of the
// file.
func (o ModelOptions) width() uint64 {
	for width := uint64(256); ; width += 256 {
		var size int64
		for _, t := range block(0, width+256) {
			size += t.Size()
		}
		if size*int64(o.Layers) > o.Bytes/10*9 {
			return width
		}
	}
}

// block returns the tensors of one block.
func block(i int, width uint64) []Tensor {
	narrow, wide := max(256, width/1024*256), width/256*11/4*256
	q4, q6, f32 := gguf.TypeQ4K, gguf.TypeQ6K, gguf.TypeF32
	tensors := []Tensor{
		{Name: "attn_norm", Type: f32, Shape: []uint64{width}},
		{Name: "attn_q", Type: q4, Shape: []uint64{width, width}},
		{Name: "attn_k", Type: q4, Shape: []uint64{width, narrow}},
		{Name: "attn_v", Type: q6, Shape: []uint64{width, narrow}},
		{Name: "attn_output", Type: q4, Shape: []uint64{width, width}},
		{Name: "ffn_norm", Type: f32, Shape: []uint64{width}},
		{Name: "ffn_gate", Type: q4, Shape: []uint64{width, wide}},
		{Name: "ffn_up", Type: q4, Shape: []uint64{width, wide}},
		{Name: "ffn_down", Type: q6, Shape: []uint64{wide, width}},
	}
	for j := range tensors {
		tensors[j].Name = fmt.Sprintf("blk.%d.%s.weight", i, tensors[j].Name)
	}
	return tensors
}

// metadata returns the keys that readers of such a model use.
func (o ModelOptions) metadata(width uint64) []KV {
	tokens, scores := make([]string, o.Vocabulary), make([]float32, o.Vocabulary)
	for i := range tokens {
		tokens[i], scores[i] = fmt.Sprintf("token%d", i), -float32(i)
	}
	return []KV{
		{"general.architecture", "llama"},
		{"general.name", o.Name},
		{"general.file_type", uint32(15)},
		{"general.quantization_version", uint32(2)},
		{"llama.block_count", uint32(o.Layers)},
		{"llama.context_length", uint32(4096)},
		{"llama.embedding_length", uint32(width)},
		{"llama.feed_forward_length", uint32(width / 256 * 11 / 4 * 256)},
		{"llama.attention.head_count", uint32(width / 64)},
		{"llama.attention.layer_norm_rms_epsilon", float32(1e-5)},
		{"tokenizer.ggml.model", "llama"},
		{"tokenizer.ggml.tokens", tokens},
		{"tokenizer.ggml.scores", scores},
		{"tokenizer.ggml.add_bos_token", true},
	}
}
