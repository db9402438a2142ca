package sqlcatalog

import (
	"encoding/json"
	"iter"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// The values of ModelLayers.LayerType.
const (
	attention     = "Attention"
	feedForward   = "FeedForward"
	normalization = "Normalization"
	embedding     = "Embedding"
	output        = "Output"
	unknown       = "Unknown"
)

// layerKinds is searched in order: the first mark found in a tensor's name decides. attn_output is
// attention and output_norm is a normalization, so the more specific marks come first.
var layerKinds = []struct {
	mark, kind string
}{
	{"norm", normalization}, {"ln_", normalization}, {".ln", normalization},
	{"embd", embedding}, {"embed", embedding}, {"wte", embedding}, {"wpe", embedding}, {"token_types", embedding},
	{"attn", attention}, {"attention", attention},
	{"ffn", feedForward}, {"mlp", feedForward}, {"feed_forward", feedForward}, {"expert", feedForward},
	{"output", output}, {"lm_head", output},
}

// layerKind infers ModelLayers.LayerType from a tensor's name.
func layerKind(name string) string {
	name = strings.ToLower(name)
	for _, k := range layerKinds {
		if strings.Contains(name, k.mark) {
			return k.kind
		}
	}
	return unknown
}

// tensorDtype returns ModelLayers.TensorDtype for a ggml type name.
func tensorDtype(ggml string) string {
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

// tensorShape returns ModelLayers.TensorShape: the dimensions in file order as a JSON array, which
// is empty for a scalar.
func tensorShape(shape []uint64) string {
	if shape == nil {
		shape = []uint64{}
	}
	return mustJSON(shape)
}

// parseTensorShape reads what tensorShape wrote.
func parseTensorShape(text string) ([]uint64, error) {
	var shape []uint64
	err := json.Unmarshal([]byte(text), &shape)
	return shape, err
}

// layerParameters returns ModelLayers.Parameters.
func layerParameters(t *ingest.Tensor) string {
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

// Layer is a row of ModelLayers.
type Layer struct {
	File                           int // index of the file in the model
	Index                          int // of the tensor, counted over all files of the model
	Name, Kind, Shape, Dtype, Type string
	Parameters                     string // JSON
	Elements, Offset, Bytes        int64
}

// Layers yields the tensors of a model's files.
func Layers(model *ingest.Model) iter.Seq[Layer] {
	return func(yield func(Layer) bool) {
		index := 0
		for file := range model.Files {
			for i := range model.Files[file].Tensors {
				s := &model.Files[file].Tensors[i]
				if !yield(Layer{file, index, s.Name, layerKind(s.Name), tensorShape(s.Shape), tensorDtype(s.Type),
					s.Type, layerParameters(s), s.Elements, s.Offset, s.Bytes}) {
					return
				}
				index++
			}
		}
	}
}

// mustJSON encodes values that cannot fail to encode.
func mustJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}
