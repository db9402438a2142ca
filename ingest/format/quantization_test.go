package format

import (
	"math"
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

func TestQuantization(t *testing.T) {
	const mi = 1 << 20
	norms := ingest.TensorType{Kind: "Normalization", Type: "F32", Elements: 1000}
	of := func(kind, name string, elements int64) ingest.TensorType {
		return ingest.TensorType{Kind: kind, Type: name, Elements: elements}
	}
	for name, c := range map[string]struct {
		types []ingest.TensorType
		want  string
	}{
		"no tensors": {nil, ""},
		"one type":   {[]ingest.TensorType{norms, of("Attention", "Q8_0", mi)}, "Q8_0"},
		"unquantized, with biases and a router in F32": {[]ingest.TensorType{norms, of("Attention", "F32", 4096),
			of("FeedForward", "BF16", mi)}, "BF16"},
		"F32, with counters and positions": {[]ingest.TensorType{norms, of("Unknown", "I64", 12),
			of("Embedding", "I64", 512), of("Attention", "F32", mi)}, "F32"},
		"larger embeddings of another type": {[]ingest.TensorType{norms, of("Embedding", "F16", 9*mi),
			of("FeedForward", "Q4_0", 4*mi)}, "Q4_0"},
		"only embeddings": {[]ingest.TensorType{norms, of("Embedding", "F16", mi)}, "F16"},
		"Q4_K_M": {[]ingest.TensorType{norms, of("Output", "Q6_K", mi), of("Attention", "Q4_K", 8*mi),
			of("FeedForward", "Q6_K", 2*mi), of("FeedForward", "Q4_K", 9*mi)}, "Q4_K_M"},
		"Q4_K_S": {[]ingest.TensorType{norms, of("Output", "Q6_K", mi), of("Attention", "Q4_K", 8*mi),
			of("FeedForward", "Q5_K", 2*mi), of("FeedForward", "Q4_K", 9*mi)}, "Q4_K_S"},
		"Q5_K_M": {[]ingest.TensorType{of("Attention", "Q5_K", 8*mi), of("FeedForward", "Q6_K", mi)}, "Q5_K_M"},
		"Q5_K_S": {[]ingest.TensorType{of("Attention", "Q5_K", 8*mi), of("Output", "Q6_K", mi)}, "Q5_K_S"},
		"Q3_K_L, with more bytes of Q5_K": {[]ingest.TensorType{of("Attention", "Q3_K", 33*mi),
			of("FeedForward", "Q3_K", 90*mi), of("FeedForward", "Q5_K", 78*mi)}, "Q3_K_L"},
		"Q3_K_M": {[]ingest.TensorType{of("Attention", "Q3_K", 123*mi), of("Attention", "Q5_K", mi),
			of("FeedForward", "Q4_K", 78*mi)}, "Q3_K_M"},
		"Q3_K_S": {[]ingest.TensorType{of("Attention", "Q3_K", mi)}, "Q3_K_S"},
		"Q3_K_S, with attn_v of a model of 70B": {[]ingest.TensorType{of("Attention", "Q3_K", 850*mi),
			of("Attention", "Q5_K", 8*mi)}, "Q3_K_S"},
		"Q2_K":         {[]ingest.TensorType{of("Attention", "Q2_K", 9), of("FeedForward", "Q3_K", 6)}, "Q2_K"},
		"Q6_K":         {[]ingest.TensorType{norms, of("Attention", "Q6_K", mi)}, "Q6_K"},
		"experts":      {[]ingest.TensorType{of("FeedForward", "MXFP4", 9*mi), of("Attention", "BF16", mi)}, "MXFP4"},
		"unknown type": {[]ingest.TensorType{norms, of("Attention", "type 42", mi)}, "type 42"},
		"too many elements": {[]ingest.TensorType{of("Attention", "A", math.MaxInt64), of("Unknown", "A", 2),
			of("Attention", "B", 9)}, "A"},
	} {
		if got := Quantization(c.types); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
