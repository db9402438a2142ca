package gguf

import "fmt"

// Type is the element type of a tensor: a number of ggml or of one of its forks. In a [Tensor], it
// also says whether the file uses the number for another type than ggml does.
type Type uint32

// The types of ggml: enum ggml_type in include/ggml.h of github.com/ggml-org/ggml, commit d99724f2
// (2026-08-21).
const (
	TypeF32    Type = 0
	TypeF16    Type = 1
	TypeQ4_0   Type = 2
	TypeQ4_1   Type = 3
	TypeQ5_0   Type = 6
	TypeQ5_1   Type = 7
	TypeQ8_0   Type = 8
	TypeQ8_1   Type = 9
	TypeQ2K    Type = 10
	TypeQ3K    Type = 11
	TypeQ4K    Type = 12
	TypeQ5K    Type = 13
	TypeQ6K    Type = 14
	TypeQ8K    Type = 15
	TypeIQ2XXS Type = 16
	TypeIQ2XS  Type = 17
	TypeIQ3XXS Type = 18
	TypeIQ1S   Type = 19
	TypeIQ4NL  Type = 20
	TypeIQ3S   Type = 21
	TypeIQ2S   Type = 22
	TypeIQ4XS  Type = 23
	TypeI8     Type = 24
	TypeI16    Type = 25
	TypeI32    Type = 26
	TypeI64    Type = 27
	TypeF64    Type = 28
	TypeIQ1M   Type = 29
	TypeBF16   Type = 30
	TypeTQ1_0  Type = 34
	TypeTQ2_0  Type = 35
	TypeMXFP4  Type = 39
	TypeNVFP4  Type = 40
	TypeQ1_0   Type = 41
	TypeQ2_0   Type = 42
)

// firstDisputed is the first number in layouts that forks of ggml use for other types. BitNet's TL2
// is 39, too.
const firstDisputed = TypeMXFP4

// foreign marks a number whose size in layouts does not fit the file. Such numbers are not negative
// in a file.
const foreign Type = 1 << 31

// layout is a type's name, and the elements and bytes of its block.
type layout struct {
	name            string
	elements, bytes int64
}

// layouts follows src/ggml.c (blck_size, type_size) and src/ggml-common.h (block_* structures) of
// ggml, commit d99724f2 (2026-08-21). The names are from gguf-py/gguf/constants.py in
// github.com/ggml-org/llama.cpp, commit 0024aa74. The types 4, 5, 31 to 33 and 36 to 38 were
// removed from ggml, which refuses them, and forks use the numbers for others.
var layouts = [...]layout{
	TypeF32:    {"F32", 1, 4},
	TypeF16:    {"F16", 1, 2},
	TypeQ4_0:   {"Q4_0", 32, 18},
	TypeQ4_1:   {"Q4_1", 32, 20},
	TypeQ5_0:   {"Q5_0", 32, 22},
	TypeQ5_1:   {"Q5_1", 32, 24},
	TypeQ8_0:   {"Q8_0", 32, 34},
	TypeQ8_1:   {"Q8_1", 32, 36},
	TypeQ2K:    {"Q2_K", 256, 84},
	TypeQ3K:    {"Q3_K", 256, 110},
	TypeQ4K:    {"Q4_K", 256, 144},
	TypeQ5K:    {"Q5_K", 256, 176},
	TypeQ6K:    {"Q6_K", 256, 210},
	TypeQ8K:    {"Q8_K", 256, 292},
	TypeIQ2XXS: {"IQ2_XXS", 256, 66},
	TypeIQ2XS:  {"IQ2_XS", 256, 74},
	TypeIQ3XXS: {"IQ3_XXS", 256, 98},
	TypeIQ1S:   {"IQ1_S", 256, 50},
	TypeIQ4NL:  {"IQ4_NL", 32, 18},
	TypeIQ3S:   {"IQ3_S", 256, 110},
	TypeIQ2S:   {"IQ2_S", 256, 82},
	TypeIQ4XS:  {"IQ4_XS", 256, 136},
	TypeI8:     {"I8", 1, 1},
	TypeI16:    {"I16", 1, 2},
	TypeI32:    {"I32", 1, 4},
	TypeI64:    {"I64", 1, 8},
	TypeF64:    {"F64", 1, 8},
	TypeIQ1M:   {"IQ1_M", 256, 56},
	TypeBF16:   {"BF16", 1, 2},
	TypeTQ1_0:  {"TQ1_0", 256, 54},
	TypeTQ2_0:  {"TQ2_0", 256, 66},
	TypeMXFP4:  {"MXFP4", 32, 17},
	TypeNVFP4:  {"NVFP4", 64, 36},
	TypeQ1_0:   {"Q1_0", 128, 18},
	TypeQ2_0:   {"Q2_0", 64, 18},
}

// disputed reports whether t has a block, but forks of ggml use the number for another type.
func (t Type) disputed() bool { return t >= firstDisputed && int64(t) < int64(len(layouts)) }

// String returns the type's name, such as "Q4_K", or "type 99" for a type without a block.
func (t Type) String() string {
	if _, _, ok := t.Block(); ok {
		return layouts[t].name
	}
	return fmt.Sprintf("type %d", uint32(t&^foreign))
}

// Block returns the elements and bytes of a block. A row of a tensor has whole blocks. ok is false
// for a number that ggml does not use, or that a file uses for another type than ggml does.
func (t Type) Block() (elements, bytes int64, ok bool) {
	if int64(t) >= int64(len(layouts)) || layouts[t].bytes == 0 {
		return 0, 0, false
	}
	return layouts[t].elements, layouts[t].bytes, true
}
