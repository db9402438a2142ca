package safetensors

// Dtype is the type of a tensor's elements, with its name in the file.
type Dtype string

// dtypes has the size of an element in bits. The names and sizes are those of the enum Dtype in
// safetensors/src/tensor.rs; see the package comment for the commit.
var dtypes = map[Dtype]int64{
	"BOOL":        8,
	"F4":          4,
	"F6_E2M3":     6,
	"F6_E3M2":     6,
	"U8":          8,
	"I8":          8,
	"F8_E5M2":     8,
	"F8_E4M3":     8,
	"F8_E8M0":     8,
	"F8_E4M3FNUZ": 8,
	"F8_E5M2FNUZ": 8,
	"I16":         16,
	"U16":         16,
	"F16":         16,
	"BF16":        16,
	"I32":         32,
	"U32":         32,
	"F32":         32,
	"C64":         64,
	"F64":         64,
	"I64":         64,
	"U64":         64,
}

// Block returns the elements and bytes of a block, the smallest number of elements that fills whole
// bytes: one element, two of F4, or four of F6. ok is false for an unknown type.
func (d Dtype) Block() (elements, bytes int64, ok bool) {
	bits, ok := dtypes[d]
	switch {
	case !ok:
		return 0, 0, false
	case bits == 4:
		return 2, 1, true
	case bits == 6:
		return 4, 3, true
	}
	return 1, bits / 8, true
}
