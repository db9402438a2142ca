package sqlcatalog

import (
	"math"
	"slices"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

func TestLayerKind(t *testing.T) {
	for name, want := range map[string]string{
		"token_embd.weight":                              embedding,
		"position_embd.weight":                           embedding,
		"model.embed_tokens.weight":                      embedding,
		"token_embd_norm.weight":                         normalization,
		"blk.0.attn_q.weight":                            attention,
		"blk.0.attn_q.bias":                              attention,
		"blk.31.attn_output.weight":                      attention,
		"model.layers.0.self_attn.o_proj.weight":         attention,
		"blk.0.attn_norm.weight":                         normalization,
		"blk.0.attn_q_norm.weight":                       normalization,
		"blk.0.ffn_norm.weight":                          normalization,
		"model.layers.0.input_layernorm.weight":          normalization,
		"v.blk.0.ln1.weight":                             normalization,
		"output_norm.weight":                             normalization,
		"blk.0.ffn_up.weight":                            feedForward,
		"blk.0.ffn_gate_exps.weight":                     feedForward,
		"model.layers.0.mlp.experts.7.down_proj.weight":  feedForward,
		"model.layers.0.block_sparse_moe.experts.0.w1":   feedForward,
		"output.weight":                                  output,
		"OUTPUT.weight":                                  output,
		"lm_head.weight":                                 output,
		"blk.0.ssm_in.weight":                            unknown,
		"rope_freqs.weight":                              unknown,
		"":                                               unknown,
		"\xff\x00":                                       unknown,
		"model.layers.0.post_attention_layernorm.weight": normalization,
	} {
		if got := layerKind(name); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}

func TestTensorDtype(t *testing.T) {
	for ggml, want := range map[string]string{"F32": "float32", "F16": "float16", "BF16": "bfloat16", "Q4_K": "Q4_K",
		"type 99": "type 99"} {
		if got := tensorDtype(ggml); got != want {
			t.Errorf("%s is %s, want %s", ggml, got, want)
		}
	}
}

func TestTensorShape(t *testing.T) {
	for text, shape := range map[string][]uint64{"[]": nil, "[4096,32000]": {4096, 32000}, "[0,1]": {0, 1},
		"[18446744073709551615]": {math.MaxUint64}} {
		if got := tensorShape(shape); got != text {
			t.Errorf("%v is %s, want %s", shape, got, text)
		}
		if got, err := parseTensorShape(text); err != nil || !slices.Equal(got, shape) {
			t.Errorf("%s is %v, want %v: %v", text, got, shape, err)
		}
	}
	if _, err := parseTensorShape("[-1]"); err == nil {
		t.Error("a negative dimension was read")
	}
}

func TestLayerParameters(t *testing.T) {
	for want, tensor := range map[string]ingest.Tensor{
		`{"original_type":"Q4_K","dimensions":[256,2],"total_elements":512}`: {Type: "Q4_K", Shape: []uint64{256, 2},
			Elements: 512},
		`{"original_type":"F32","dimensions":[],"total_elements":1}`: {Type: "F32", Elements: 1},
	} {
		if got := layerParameters(&tensor); got != want {
			t.Errorf("parameters are %s, want %s", got, want)
		}
	}
}
