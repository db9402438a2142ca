package format

import (
	"maps"
	"math"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// mixes are the names that llama.cpp gives to models of several K types, by the type of most elements.
// The first entry counts whose type one in twenty elements has beside it; an empty one is any model. See
// llama_tensor_get_type_impl in src/llama-quant.cpp of ggml-org/llama.cpp.
var mixes = map[string][]struct{ beside, name string }{
	"Q3_K": {{"Q4_K", "Q3_K_M"}, {"Q5_K", "Q3_K_L"}, {"", "Q3_K_S"}},
	"Q4_K": {{"Q6_K", "Q4_K_M"}, {"", "Q4_K_S"}},
	"Q5_K": {{"Q6_K", "Q5_K_M"}, {"", "Q5_K_S"}},
}

// Quantization returns the quantization of a model as people name it, such as Q4_K_M, Q8_0 or BF16, by
// the tensors of its weights; it is empty without tensors. The type of most elements decides. Embeddings,
// the output and norms, which often have another type, count if there is nothing else.
//
// Metadata such as general.file_type may be missing, or that of the model before a conversion.
func Quantization(types []ingest.TensorType) string {
	inner, all := map[string]int64{}, map[string]int64{}
	for _, t := range types {
		all[t.Type] += min(t.Elements, math.MaxInt64-all[t.Type])
		if t.Kind != "Embedding" && t.Kind != "Output" && t.Kind != "Normalization" {
			inner[t.Type] += min(t.Elements, math.MaxInt64-inner[t.Type])
		}
	}
	if len(inner) == 0 {
		inner = all
	}
	most := ""
	for _, name := range slices.Sorted(maps.Keys(inner)) {
		if most == "" || inner[name] > inner[most] {
			most = name
		}
	}
	for _, mix := range mixes[most] {
		if mix.beside == "" || inner[mix.beside] > inner[most]/20 {
			return mix.name
		}
	}
	return most
}
