package storage

import (
	"encoding/json"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// The values of ModelLayers.LayerType.
const (
	Attention     = "Attention"
	FeedForward   = "FeedForward"
	Normalization = "Normalization"
	Embedding     = "Embedding"
	Output        = "Output"
	Unknown       = "Unknown"
)

// layerKinds is searched in order: what a tensor is for is said by the first mark
// that its name has. attn_output is attention, and output_norm a normalization,
// so the more telling marks come first.
var layerKinds = []struct {
	mark, kind string
}{
	{"norm", Normalization}, {"ln_", Normalization}, {".ln", Normalization},
	{"embd", Embedding}, {"embed", Embedding}, {"wte", Embedding}, {"wpe", Embedding}, {"token_types", Embedding},
	{"attn", Attention}, {"attention", Attention},
	{"ffn", FeedForward}, {"mlp", FeedForward}, {"feed_forward", FeedForward}, {"expert", FeedForward},
	{"output", Output}, {"lm_head", Output},
}

// LayerKind infers from a tensor's name the value of ModelLayers.LayerType.
func LayerKind(name string) string {
	name = strings.ToLower(name)
	for _, k := range layerKinds {
		if strings.Contains(name, k.mark) {
			return k.kind
		}
	}
	return Unknown
}

// TensorDtype returns the value of ModelLayers.TensorDtype for ggml's name of a type.
func TensorDtype(ggml string) string {
	switch ggml {
	case "F32":
		return "float32"
	case "F16":
		return "float16"
	case "BF16":
		return "bfloat16"
	}
	return ggml
}

// TensorShape returns the value of ModelLayers.TensorShape: the dimensions in
// file order as a JSON array, which for a scalar is empty.
func TensorShape(shape []uint64) string {
	if shape == nil {
		shape = []uint64{}
	}
	return mustJSON(shape)
}

// ParseTensorShape reads what TensorShape wrote.
func ParseTensorShape(text string) ([]uint64, error) {
	var shape []uint64
	err := json.Unmarshal([]byte(text), &shape)
	return shape, err
}

// LayerParameters returns the value of ModelLayers.Parameters.
func LayerParameters(t *ingest.Tensor) string {
	shape := t.Shape
	if shape == nil {
		shape = []uint64{}
	}
	return mustJSON(struct {
		Type       string   `json:"original_type"`
		Dimensions []uint64 `json:"dimensions"`
		Elements   int64    `json:"total_elements"`
	}{t.Type, shape, t.Elements})
}

// mustJSON is for values of ours whose encoding cannot fail.
func mustJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}
