package codec

// element is what Encode knows of an element type: the bytes of an element or a block, and whether
// it is a floating-point number with a sign bit.
type element struct {
	bytes  int
	signed bool
}

// elements are the types whose elements are numbers or blocks of numbers, by their names in ggml
// and safetensors. Payloads of other types are bytes.
var elements = map[string]element{
	"F64": {8, true}, "F32": {4, true}, "F16": {2, true}, "BF16": {2, true},
	"C64": {4, true}, // two F32
	"I64": {8, false}, "I32": {4, false}, "I16": {2, false}, "I8": {1, false},
	"U64": {8, false}, "U32": {4, false}, "U16": {2, false},
	"F8_E4M3": {1, false}, "F8_E5M2": {1, false}, "F8_E8M0": {1, false},

	"Q4_0": {18, false}, "Q4_1": {20, false}, "Q5_0": {22, false}, "Q5_1": {24, false},
	"Q8_0": {34, false}, "Q8_1": {36, false}, "Q1_0": {18, false}, "Q2_0": {18, false},
	"Q2_K": {84, false}, "Q3_K": {110, false}, "Q4_K": {144, false}, "Q5_K": {176, false},
	"Q6_K": {210, false}, "Q8_K": {292, false},
	"IQ1_S": {50, false}, "IQ1_M": {56, false}, "IQ2_XXS": {66, false}, "IQ2_XS": {74, false},
	"IQ2_S": {82, false}, "IQ3_XXS": {98, false}, "IQ3_S": {110, false}, "IQ4_NL": {18, false},
	"IQ4_XS": {136, false}, "TQ1_0": {54, false}, "TQ2_0": {66, false},
	"MXFP4": {17, false}, "NVFP4": {36, false},
}
