package safetensors_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/header/headertest"
	"github.com/hartonomous/ingest/ingest/format/safetensors"
)

// checkValid checks the properties of an accepted file independently of the parser.
func checkValid(t *testing.T, f *safetensors.File, file []byte) {
	t.Helper()
	header := file[8:f.DataOffset]
	if !json.Valid(header) || header[0] != '{' {
		t.Errorf("the header is not a JSON object: %q", header)
	}
	for _, tensor := range f.Tensors {
		checkTensor(t, f, tensor)
	}
	sorted := slices.Clone(f.Tensors)
	slices.SortStableFunc(sorted, func(a, b safetensors.Tensor) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size))
	})
	end := f.DataOffset
	for _, tensor := range sorted {
		if tensor.Offset != end || tensor.Size < 0 {
			t.Errorf("%+v does not start at %d", tensor, end)
		}
		end += tensor.Size
	}
	if end != int64(len(file)) {
		t.Errorf("the tensors end at %d of %d", end, len(file))
	}
	checkDecoded(t, f, header)
	checkPlan(t, f, int64(len(file)))
}

// sizes are those of the format, in bits. The parser has a table of its own.
var sizes = map[string]int64{"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
	"F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4, "I64": 64, "I32": 32, "I16": 16, "I8": 8,
	"U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8, "C64": 64}

func checkTensor(t *testing.T, f *safetensors.File, tensor safetensors.Tensor) {
	t.Helper()
	elements := big.NewInt(1)
	for _, dim := range tensor.Shape {
		elements.Mul(elements, new(big.Int).SetUint64(dim))
	}
	if elements.Cmp(new(big.Int).SetUint64(tensor.Elements)) != 0 {
		t.Errorf("%+v does not have %v elements", tensor, elements)
	}
	width, known := sizes[string(tensor.Dtype)]
	perBlock, bytes, ok := tensor.Dtype.Block()
	if known != ok {
		t.Errorf("%+v: the type is known: %v", tensor, ok)
	}
	if !known {
		return
	}
	if bytes*8 != perBlock*width || perBlock > 1 && width%8 == 0 {
		t.Errorf("%s: %d elements in %d bytes, but %d bits each", tensor.Dtype, perBlock, bytes, width)
	}
	if want := elements.Mul(elements, big.NewInt(width)); want.Cmp(big.NewInt(tensor.Size*8)) != 0 {
		t.Errorf("%+v has %v bits", tensor, want)
	}
	if tensor.Size%bytes != 0 {
		t.Errorf("%+v does not have whole blocks of %d bytes", tensor, bytes)
	}
}

// checkDecoded compares a file with what encoding/json makes of its header.
func checkDecoded(t *testing.T, f *safetensors.File, header []byte) {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(header, &members); err != nil {
		t.Fatal(err)
	}
	var metadata map[string]string
	if text, ok := members["__metadata__"]; ok {
		if err := json.Unmarshal(text, &metadata); err != nil {
			t.Fatal(err)
		}
		delete(members, "__metadata__")
	}
	if len(metadata) != len(f.Metadata) || len(members) != len(f.Tensors) {
		t.Errorf("%d keys and %d tensors, want %d and %d", len(f.Metadata), len(f.Tensors), len(metadata), len(members))
	}
	for _, kv := range f.Metadata {
		want, ok := metadata[kv.Key]
		if !ok || int64(len(want)) != kv.Value.Length || !strings.HasPrefix(want, kv.Value.Text) ||
			len(want) > len(kv.Value.Text) && len(kv.Value.Text) < 4<<10-3 || len(kv.Value.Text) > 4<<10 {
			t.Errorf("metadata %q: got %+v, want %q", kv.Key, kv.Value, want)
		}
	}
	for _, tensor := range f.Tensors {
		var want struct {
			Dtype   string
			Shape   []uint64
			Offsets []int64 `json:"data_offsets"`
		}
		if err := decodeExact(members[tensor.Name], &want); err != nil {
			t.Fatalf("%q: %v", tensor.Name, err)
		}
		begin := tensor.Offset - f.DataOffset
		if want.Dtype != string(tensor.Dtype) || !slices.Equal(want.Shape, tensor.Shape) ||
			!slices.Equal(want.Offsets, []int64{begin, begin + tensor.Size}) {
			t.Errorf("%+v, want %+v", tensor, want)
		}
	}
}

// decodeExact decodes the members dtype, shape and data_offsets, whose names encoding/json alone
// would match in any case.
func decodeExact(text []byte, into any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	exact := map[string]json.RawMessage{}
	for _, name := range []string{"dtype", "shape", "data_offsets"} {
		exact[name] = members[name]
	}
	text, err := json.Marshal(exact)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// checkPlan checks that a plan covers the file exactly.
func checkPlan(t *testing.T, f *safetensors.File, size int64) {
	t.Helper()
	file := &ingest.File{Bytes: size}
	for _, tensor := range f.Tensors {
		elements, bytes, known := tensor.Dtype.Block()
		if !known {
			tensor.Size = 0
		}
		file.Tensors = append(file.Tensors, ingest.Tensor{Name: tensor.Name, Offset: tensor.Offset, Bytes: tensor.Size,
			Elements: int64(tensor.Elements), BlockElements: elements, BlockBytes: bytes})
	}
	plan, err := ingest.NewPlan(file, 0)
	if err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	for segment := range plan.All() {
		if segment.Offset != end || segment.Bytes < 1 {
			t.Errorf("segment %+v, want it at %d", segment, end)
		}
		end = segment.End()
	}
	if end != size {
		t.Errorf("the plan ends at %d of %d", end, size)
	}
}

// mustRefuse parses an invalid file and checks the error.
func mustRefuse(t *testing.T, file []byte, at int64, reason string) {
	t.Helper()
	f, err := parse(file)
	headertest.Refuse(t, f, err, at, reason)
}

func mustParse(t *testing.T, file []byte) *safetensors.File {
	t.Helper()
	f, err := parse(file)
	if err != nil {
		t.Fatal(err)
	}
	checkValid(t, f, file)
	return f
}

func parse(file []byte) (*safetensors.File, error) {
	return safetensors.Parse(bytes.NewReader(file), int64(len(file)))
}
