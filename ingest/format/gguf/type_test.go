package gguf_test

import (
	"fmt"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
)

// TestTypes compares the table with sizes computed from the parts of each block: scales and minima
// of 2 bytes (h), and the bits of the elements.
func TestTypes(t *testing.T) {
	const h = 2
	for _, row := range []struct {
		t               gguf.Type
		number          uint32
		name            string
		elements, bytes int64
	}{
		{gguf.TypeF32, 0, "F32", 1, 4}, {gguf.TypeF16, 1, "F16", 1, 2}, {gguf.TypeF64, 28, "F64", 1, 8},
		{gguf.TypeBF16, 30, "BF16", 1, 2}, {gguf.TypeI8, 24, "I8", 1, 1}, {gguf.TypeI16, 25, "I16", 1, 2},
		{gguf.TypeI32, 26, "I32", 1, 4}, {gguf.TypeI64, 27, "I64", 1, 8},
		{gguf.TypeQ4_0, 2, "Q4_0", 32, h + 32*4/8}, {gguf.TypeQ4_1, 3, "Q4_1", 32, 2*h + 32*4/8},
		{gguf.TypeQ5_0, 6, "Q5_0", 32, h + 32*5/8}, {gguf.TypeQ5_1, 7, "Q5_1", 32, 2*h + 32*5/8},
		{gguf.TypeQ8_0, 8, "Q8_0", 32, h + 32}, {gguf.TypeQ8_1, 9, "Q8_1", 32, 2*h + 32},
		{gguf.TypeQ2K, 10, "Q2_K", 256, 2*h + 16 + 256*2/8}, {gguf.TypeQ3K, 11, "Q3_K", 256, h + 12 + 256*3/8},
		{gguf.TypeQ4K, 12, "Q4_K", 256, 2*h + 12 + 256*4/8}, {gguf.TypeQ5K, 13, "Q5_K", 256, 2*h + 12 + 256*5/8},
		{gguf.TypeQ6K, 14, "Q6_K", 256, h + 16 + 256*6/8}, {gguf.TypeQ8K, 15, "Q8_K", 256, 4 + 256 + 16*2},
		{gguf.TypeIQ2XXS, 16, "IQ2_XXS", 256, h + 64}, {gguf.TypeIQ2XS, 17, "IQ2_XS", 256, h + 64 + 8},
		{gguf.TypeIQ3XXS, 18, "IQ3_XXS", 256, h + 96}, {gguf.TypeIQ1S, 19, "IQ1_S", 256, h + 32 + 16},
		{gguf.TypeIQ4NL, 20, "IQ4_NL", 32, h + 16}, {gguf.TypeIQ3S, 21, "IQ3_S", 256, h + 64 + 8 + 32 + 4},
		{gguf.TypeIQ2S, 22, "IQ2_S", 256, h + 64 + 8 + 8}, {gguf.TypeIQ4XS, 23, "IQ4_XS", 256, 2*h + 4 + 128},
		{gguf.TypeIQ1M, 29, "IQ1_M", 256, 32 + 16 + 8}, {gguf.TypeTQ1_0, 34, "TQ1_0", 256, h + 48 + 4},
		{gguf.TypeTQ2_0, 35, "TQ2_0", 256, h + 64}, {gguf.TypeMXFP4, 39, "MXFP4", 32, 1 + 16},
		{gguf.TypeNVFP4, 40, "NVFP4", 64, 4 + 32}, {gguf.TypeQ1_0, 41, "Q1_0", 128, h + 16},
		{gguf.TypeQ2_0, 42, "Q2_0", 64, h + 16},
	} {
		elements, bytes, ok := row.t.Block()
		if uint32(row.t) != row.number || row.t.String() != row.name || elements != row.elements ||
			bytes != row.bytes || !ok {
			t.Errorf("got %d %s %d in %d (%v), want %+v", row.t, row.t, elements, bytes, ok, row)
		}
	}
}

func TestTypesWithoutBlock(t *testing.T) {
	for _, number := range []gguf.Type{4, 5, 31, 32, 33, 36, 37, 38, 43, 99, 1<<31 - 1} {
		if _, _, ok := number.Block(); ok || number.String() != fmt.Sprintf("type %d", uint32(number)) {
			t.Errorf("type %d is %s with a block: %v", uint32(number), number, ok)
		}
	}
}
