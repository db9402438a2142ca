package safetensors_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/safetensors"
	"github.com/hartonomous/ingest/ingest/format/safetensors/safetensorstest"
)

// sample is a file with every type, in an order of offsets that is not that of the header.
func sample() []byte {
	file := safetensorstest.File{Metadata: []string{"format", "pt", "", "no key", "quote\"", "é\n\U0001F600"}}
	for _, dtype := range []safetensors.Dtype{
		"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F6_E2M3",
		"F6_E3M2", "F4", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL", "C64",
	} {
		file.Tensors = append(file.Tensors, safetensorstest.Tensor{Name: "layer." + string(dtype), Dtype: dtype,
			Shape: []uint64{2, 3, 4}})
	}
	file.Tensors = append(file.Tensors,
		safetensorstest.Tensor{Name: "scalar", Dtype: "F32"},
		safetensorstest.Tensor{Name: "empty", Dtype: "F32", Shape: []uint64{0, 7}},
		safetensorstest.Tensor{Name: "unknown", Dtype: "F3_E1M1", Shape: []uint64{5, 2}, Data: make([]byte, 4)},
		safetensorstest.Tensor{Name: "", Dtype: "U8", Shape: []uint64{1}})
	return file.Bytes()
}

func TestParse(t *testing.T) {
	f := mustParse(t, sample())
	if len(f.Tensors) != len(sizes)+4 || len(f.Metadata) != 3 || f.Ignored != 0 {
		t.Fatalf("%d tensors, %d keys", len(f.Tensors), len(f.Metadata))
	}
	for _, tensor := range f.Tensors[:len(sizes)] {
		if want := 24 * sizes[string(tensor.Dtype)] / 8; tensor.Size != want || tensor.Elements != 24 ||
			!reflect.DeepEqual(tensor.Shape, []uint64{2, 3, 4}) {
			t.Errorf("%+v, want 24 elements, %d bytes", tensor, want)
		}
	}
	for i, want := range []string{
		"scalar F32 [] 1 4", "empty F32 [0 7] 0 0", "unknown F3_E1M1 [5 2] 10 4", " U8 [1] 1 1",
	} {
		tensor := f.Tensors[len(sizes)+i]
		if got := fmt.Sprint(tensor.Name, " ", tensor.Dtype, tensor.Shape, tensor.Elements, tensor.Size); got !=
			strings.ReplaceAll(want, " [", "[") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if v, ok := f.Lookup("quote\""); !ok || v.Text != "é\n\U0001F600" || v.Truncated() {
		t.Errorf("got %+v, %v", v, ok)
	}
	if v, ok := f.Lookup("Format"); ok {
		t.Errorf("got %+v", v)
	}
}

// accepted are files of an odd, but valid form.
var accepted = []struct {
	name, header string
	data         int
	want         string // names, types, shapes and sizes of the tensors, and number of ignored fields
}{
	{"nothing", `{}`, 0, "0"},
	{"metadata alone", `{"__metadata__":{"a":"b"}}`, 0, "0"},
	{"empty metadata", `{"__metadata__":{}}`, 0, "0"},
	{"null metadata", `{"__metadata__":null}`, 0, "0"},
	{"padded", `{}                  `, 0, "0"},
	{"padded with other white space", "{}\n\t\r ", 0, "0"},
	{"white space everywhere",
		"{ \r\n\t\"a\" : { \"dtype\" :\n\"U8\" , \"shape\" : [ 2 , 2 ] , \"data_offsets\":[ 0 , 4 ] } } ", 4,
		"a U8 [2 2] 4; 0"},
	{"fields in another order", one(`"data_offsets":[0,2],"shape":[1],"dtype":"F16"`), 2, "a F16 [1] 2; 0"},
	{"tensors out of order", `{"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},` +
		`"a":{"dtype":"U16","shape":[1],"data_offsets":[0,2]}}`, 3, "b U8 [1] 1; a U16 [1] 2; 0"},
	{"nothing between", "{" + bytesAt("a", 0, 2) + "," + bytesAt("c", 2, 2) + "," + bytesAt("b", 2, 4) + "," +
		bytesAt("d", 4, 4) + "}", 4, "a U8 [2] 2; c U8 [0] 0; b U8 [2] 2; d U8 [0] 0; 0"},
	{"nothing before", "{" + bytesAt("b", 0, 4) + "," + bytesAt("a", 0, 0) + "}", 4, "b U8 [4] 4; a U8 [0] 0; 0"},
	{"escapes", `{"\u0061\ud83d\ude00\"\\\/\b\f\n\r\t":{"d\u0074ype":"\u00558","shape":[],"data_offsets":[0,1]}}`, 1,
		"a\U0001F600\"\\/\b\f\n\r\t U8 [] 1; 0"},
	{"a name with a zero", `{"a\u0000b":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}`, 1, "a\x00b U8 [] 1; 0"},
	{"the last characters", "{\"\U0010FFFF\uFFFD\x7f\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1,
		"\U0010FFFF\uFFFD\x7f U8 [] 1; 0"},
	{"names that differ in form", `{"\u00e9":{"dtype":"U8","shape":[],"data_offsets":[0,1]},` +
		`"e\u0301":{"dtype":"U8","shape":[],"data_offsets":[1,2]}}`, 2, "\u00e9 U8 [] 1; e\u0301 U8 [] 1; 0"},
	{"a large dimension of nothing", one(`"dtype":"F64","shape":[18446744073709551615,0],"data_offsets":[0,0]`), 0,
		"a F64 [18446744073709551615 0] 0; 0"},
	{"64 dimensions", one(`"dtype":"U8","shape":[` + strings.Repeat("1,", 63) + `1],"data_offsets":[0,1]`), 1,
		"a U8 [" + strings.Repeat("1 ", 63) + "1] 1; 0"},
	{"unknown types", `{"a":{"dtype":"I4","shape":[3],"data_offsets":[0,2]},` +
		`"b":{"dtype":"u8","shape":[1],"data_offsets":[2,3]}}`, 3, "a I4 [3] 2; b u8 [1] 1; 0"},
	{"other fields",
		one(good + `,"x":[1,-2.5e+10,0.1E-3,1e999,{"":[[],{},"\u12aB"]}],"DTYPE":null,"y":true,"y":false`), 16,
		"a U8 [16] 16; 4"},
}

func TestAccepted(t *testing.T) {
	for _, row := range accepted {
		t.Run(row.name, func(t *testing.T) {
			f := mustParse(t, safetensorstest.Raw(row.header, make([]byte, row.data)))
			got := ""
			for _, tensor := range f.Tensors {
				got += fmt.Sprint(tensor.Name, " ", tensor.Dtype, " ", tensor.Shape, " ", tensor.Size, "; ")
			}
			if got += fmt.Sprint(f.Ignored); got != row.want {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
		})
	}
}

// TestLongNames: names have any length, also one that takes several reads.
func TestLongNames(t *testing.T) {
	name := strings.Repeat("né\U0001F600\"", 50_000)
	f := mustParse(t, safetensorstest.File{Tensors: []safetensorstest.Tensor{{Name: name, Dtype: "U8"}}}.Bytes())
	if f.Tensors[0].Name != name {
		t.Errorf("got a name of %d bytes, want %d", len(f.Tensors[0].Name), len(name))
	}
}

// TestLongTexts: of a long text, the file keeps 4 KiB of whole characters.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("x", 4095) + "é" + strings.Repeat("y", 100_000)
	plain := strings.Repeat("p", 5_000)
	wide := strings.Repeat("\U0001F600\n", 1_000)
	file := safetensorstest.File{Metadata: []string{"exact", long[:4095] + "z", "long", long, "plain", plain,
		"wide", wide}}
	f := mustParse(t, file.Bytes())
	for i, want := range []safetensors.Value{
		{Text: long[:4095] + "z", Length: 4096}, {Text: long[:4095], Length: int64(len(long))},
		{Text: plain[:4096], Length: 5000}, {Text: wide[:4095], Length: 5000},
	} {
		if got := f.Metadata[i].Value; got != want {
			t.Errorf("%s: got %d of %d bytes, want %d of %d", f.Metadata[i].Key, len(got.Text), got.Length,
				len(want.Text), want.Length)
		}
	}
	text, err := json.Marshal(f.Metadata[1].Value)
	if want := fmt.Sprintf(`{"type":"string","length":%d,"first":"xxx`, len(long)); err != nil ||
		!strings.HasPrefix(string(text), want) {
		t.Errorf("JSON is %.60s, %v", text, err)
	}
	if text, err := json.Marshal(safetensors.Value{Text: "pt", Length: 2}); err != nil || string(text) != `"pt"` {
		t.Errorf("JSON is %s, %v", text, err)
	}
}

func TestSniff(t *testing.T) {
	for _, row := range []struct {
		first string
		want  bool
	}{
		{"\x02\x00\x00\x00\x00\x00\x00\x00{}", true},
		{"\x00\xe1\xf5\x05\x00\x00\x00\x00{\"", true},
		{"\x40\x00\x00\x00\x00\x00\x00\x00{ \"", true},
		{"\x40\x00\x00\x00\x00\x00\x00\x00{\n\"", true},
		{"\x01\xe1\xf5\x05\x00\x00\x00\x00{\"", false},
		{"\x01\x00\x00\x00\x00\x00\x00\x00{}", false},
		{"\x02\x00\x00\x00\x00\x00\x00\x01{}", false},
		{"\x02\x00\x00\x00\x00\x00\x00\x00{", false},
		{"\x02\x00\x00\x00\x00\x00\x00\x00{a", false},
		{"\x02\x00\x00\x00\x00\x00\x00\x00[]", false},
		{"", false},
	} {
		if got := safetensors.Sniff([]byte(row.first)); got != row.want {
			t.Errorf("%q: got %v", row.first, got)
		}
	}
}
