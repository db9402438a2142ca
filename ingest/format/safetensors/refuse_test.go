package safetensors_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/safetensors/safetensorstest"
)

// refusal is an invalid file. Its header has a mark, §, before the invalid text; a file without
// a mark has the offset of the error in at.
type refusal struct {
	name, header string
	data         int // bytes after the header
	reason       string
	at           int64
}

// file returns the file without its mark, and the offset of the error.
func (r refusal) file() ([]byte, int64) {
	header, at := r.header, r.at
	if i := strings.Index(header, "§"); i >= 0 {
		header, at = strings.Replace(header, "§", "", 1), int64(8+i)
	}
	return safetensorstest.Raw(header, make([]byte, r.data)), at
}

// one is a header with one tensor of the given fields.
func one(fields string) string { return `{"a":{` + fields + `}}` }

// shaped is a header with one tensor "a" of 16 bytes.
func shaped(dtype, shape string) string {
	return one(`"dtype":"` + dtype + `",§"shape":` + shape + `,"data_offsets":[0,16]`)
}

// sized is the same, but data_offsets are at fault.
func sized(dtype, shape string) string {
	return strings.Replace(strings.Replace(shaped(dtype, shape), "§", "", 1), `"data_`, `§"data_`, 1)
}

// bytesAt returns a tensor of type U8 as a member of the header.
func bytesAt(name string, begin, end int) string {
	return fmt.Sprintf(`"%s":{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}`, name, end-begin, begin, end)
}

// marked puts the mark before the last data_offsets.
func marked(header string) string {
	i := strings.LastIndex(header, `"data_offsets"`)
	return header[:i] + "§" + header[i:]
}

const good = `"dtype":"U8","shape":[16],"data_offsets":[0,16]`

// syntax breaks the rules of JSON, and those of the format about integers, keys and fields.
var syntax = []refusal{
	{name: "ends at once", header: `{ §`, reason: "the header ends, want a key or }"},
	{name: "two objects", header: `{}§{}`, reason: "found {, want only white space after the JSON object"},
	{name: "metadata after the object", header: `{}§,"__metadata__":{"key":"value"}}   `, reason: "found ,"},
	{name: "padded with zeros", header: "{}§\x00\x00", reason: "found byte 0x00, want only white space"},
	{name: "a comma at the end", header: `{"a":{` + good + `},§}`, data: 16, reason: "found }, want a key in quotes"},
	{name: "no comma", header: `{"a":{` + good + `}§"b":{}}`, data: 16, reason: `found ", want a comma or }`},
	{name: "no colon", header: `{"a"§{}}`, reason: "found {, want a colon"},
	{name: "a key without quotes", header: `{§a:{}}`, reason: "found a, want a key in quotes"},
	{name: "a comment", header: `{§/**/}`, reason: "found /"},
	{name: "a form feed", header: "{§\f}", reason: "found byte 0x0c"},
	{name: "a byte order mark", header: "{§\ufeff}", reason: "found byte 0xef"},
	{name: "the wrong bracket", header: `{"a":{` + good + `§]`, data: 16, reason: "found ], want a comma or }"},
	{name: "ends in a name", header: `{"abc§`, reason: "the header ends inside the text that starts at offset 9"},
	{name: "ends in an escape", header: `{"abc\§`, reason: "the header ends inside an escape"},
	{name: "ends in a number", header: `{"a":{"shape":[12§`, reason: `tensor "a": the header ends, want a comma or ]`},
	{name: "ends in a word", header: `{"a":{"x":§tru`, reason: `found "tru", want true`},
	{name: "another word", header: `{"a":{"x":§nuls`, reason: `found "nuls", want null`},
	{name: "invalid UTF-8 in a name", header: "{\"a§\xff\"", reason: "byte 0xff is not valid UTF-8"},
	{name: "half a character", header: "{\"a§\xe2\x82\":1", reason: "byte 0xe2 is not valid UTF-8"},
	{name: "a surrogate in UTF-8", header: "{\"§\xed\xa0\x80\":1", reason: "byte 0xed is not valid UTF-8"},
	{name: "a slash in two bytes", header: "{\"§\xc0\xaf\":1", reason: "byte 0xc0 is not valid UTF-8"},
	{name: "an escape in half", header: `{"§\uD800"`, reason: `escape "\\uD800" is half of a character`},
	{name: "the other half", header: `{"§\udc00\ud800"`, reason: `is half of a character`},
	{name: "an escape of three digits", header: `{"§\u12g4"`, reason: "does not have four hexadecimal digits"},
	{name: "an escape with a sign", header: `{"§\u+123"`, reason: "does not have four hexadecimal digits"},
	{name: "an unknown escape", header: `{"a§\x41"`, reason: `unknown escape "\\x"`},
	{name: "a line break in a name", header: "{\"a§\n\"", reason: "byte 0x0a in a text is not escaped"},
	{name: "a zero in a name", header: "{\"a§\x00\"", reason: "byte 0x00 in a text is not escaped"},
	{name: "a list for a tensor", header: `{"a":§["U8",[16],[0,16]]}`, data: 16,
		reason: `tensor "a": found [, want an object with dtype`},
	{name: "a number for a tensor", header: `{"a":§1}`, reason: "found 1, want an object with dtype"},
	{name: "null for a tensor", header: `{"a":§null}`, reason: "found n, want an object with dtype"},
	{name: "nested too deep", header: one(good + `,"x":[[[[[[[[§[]]]]]]]]]`), data: 16,
		reason: "nested more than 8 deep"},
	{name: "nested without end", header: `{"a":{"x":` + strings.Repeat(`{"":`, 8) + "§" +
		strings.Repeat(`{"":`, 99_999),
		reason: "nested more than 8 deep"},
	{name: "lists without end", header: `{"a":{"x":[[[[[[[[§` + strings.Repeat("[", 1_000_000),
		reason: "nested more than 8 deep"},
	{name: "an odd number in a field", header: one(good + `,"x":-§a`), data: 16, reason: "found a, want a value"},
	{name: "white space in a number", header: one(good + `,"x":-§ 5`), data: 16,
		reason: "found a space, want a value"},
	{name: "white space after the point", header: one(good + `,"x":1.§ 5`), data: 16,
		reason: "found a space, want a digit"},
	{name: "ends in a field's number", header: `{"a":{"x":1.§`, reason: "the header ends, want a digit"},
	{name: "a number with two zeros", header: one(good + `,"x":0§0`), data: 16, reason: "found 0, want a comma or }"},
	{name: "a fraction without digits", header: one(good + `,"x":1.§e1`), data: 16, reason: "found e, want a digit"},
	{name: "an exponent without digits", header: one(good + `,"x":1e+§`), data: 16, reason: "found }, want a digit"},
	{name: "a name twice", header: "{" + bytesAt("a", 0, 8) + "," + bytesAt("b", 8, 9) + "," + "§" +
		bytesAt("a", 9, 16) + "}", data: 16, reason: `tensor name "a" is used twice, first at offset 9`},
	{name: "two names twice", header: "{" + bytesAt("b", 0, 1) + "," + bytesAt("a", 1, 2) + ",§" + bytesAt("b", 2, 3) +
		"," + bytesAt("a", 3, 4) + "}", data: 4, reason: `tensor name "b" is used twice, first at offset 9`},
	{name: "two names twice, in order", header: "{" + bytesAt("a", 0, 1) + "," + bytesAt("b", 1, 2) + ",§" +
		bytesAt("a", 2, 3) + "," + bytesAt("b", 3, 4) + "}", data: 4,
		reason: `tensor name "a" is used twice, first at`},
	{name: "a name twice, escaped", header: "{" + bytesAt("a", 0, 8) + "," + "§" + bytesAt(`\u0061`, 8, 16) + "}",
		data: 16, reason: `tensor name "a" is used twice, first at offset 9`},
	{name: "an empty name twice", header: "{" + bytesAt("", 0, 8) + "," + "§" + bytesAt("", 8, 16) + "}", data: 16,
		reason: `tensor name "" is used twice`},
	{name: "dtype twice", header: one(good + `,§"dtype":"U8"`), data: 16,
		reason: "dtype is used twice, first at offset 14"},
	{name: "shape twice", header: one(good + `,§"shape":[16]`), data: 16, reason: "shape is used twice"},
	{name: "data_offsets twice", header: one(good + `,§"data_offsets":[0,16]`), data: 16,
		reason: "data_offsets is used twice"},
	{name: "no dtype", header: `{§"a":{"shape":[16],"data_offsets":[0,16]}}`, data: 16, reason: "it has no dtype"},
	{name: "no shape", header: `{§"a":{"dtype":"U8","data_offsets":[0,16]}}`, data: 16, reason: "it has no shape"},
	{name: "no data_offsets", header: `{§"a":{"dtype":"U8","shape":[16]}}`, data: 16, reason: "it has no data_offsets"},
	{name: "no fields", header: `{§"a":{}}`, reason: `tensor "a": it has no dtype`},
	{name: "a field in another case", header: `{§"a":{"Dtype":"U8","shape":[16],"data_offsets":[0,16]}}`, data: 16,
		reason: "it has no dtype"},
	{name: "metadata twice", header: `{"__metadata__":{},§"__metadata__":{}}`,
		reason: "__metadata__ is used twice, first at offset 9"},
	{name: "metadata null and again", header: `{"__metadata__":null,§"__metadata__":{}}`,
		reason: "__metadata__ is used"},
	{name: "a metadata key twice", header: `{"__metadata__":{"k":"1","l":"2",§"k":"1"}}`,
		reason: `metadata key "k" is used twice, first at offset 25`},
	{name: "a number in the metadata", header: `{"__metadata__":{"k":§0}}`,
		reason: `metadata key "k": found 0, want a text`},
	{name: "an object in the metadata", header: `{"__metadata__":{"k":§{}}}`, reason: "found {, want a text"},
	{name: "null in the metadata", header: `{"__metadata__":{"k":§null}}`, reason: "found n, want a text"},
	{name: "metadata as a list", header: `{"__metadata__":§[]}`, reason: "found [, want an object with the metadata"},
	{name: "metadata as a tensor", header: `{"__metadata__":{"dtype":"U8","shape":§[16]}}`,
		reason: "found [, want a text"},
	{name: "a long metadata key", header: `{"__metadata__":{§"` + strings.Repeat("k", 65536) + `":""}}`,
		reason: "text of more than 65535 bytes"},
	{name: "a long field", header: one(`§"` + strings.Repeat("k", 65536) + `":0`),
		reason: "text of more than 65535 bytes"},
}

// layouts breaks the rules about types, shapes and offsets.
var layouts = []refusal{
	{name: "an empty type", header: one(`"dtype":§"","shape":[16],"data_offsets":[0,16]`), data: 16,
		reason: "dtype is empty"},
	{name: "a number as type", header: one(`"dtype":§8,"shape":[16],"data_offsets":[0,16]`), data: 16,
		reason: "found 8, want a text with the type"},
	{name: "a long type", header: one(`"dtype":§"` + strings.Repeat("U", 65) + `","shape":[1]`),
		reason: "text of more than 64 bytes"},
	{name: "a number as shape", header: one(`"dtype":"U8","shape":§16,"data_offsets":[0,16]`), data: 16,
		reason: "found 1, want a list with the shape"},
	{name: "a text as dimension", header: strings.Replace(shaped("U8", `[§"16"]`), "§", "", 1), data: 16,
		reason: `found ", want the size of a dimension`},
	{name: "65 dimensions", header: one(`"shape":[` + strings.Repeat("1,", 64) + `1§],"dtype":"U8"`),
		reason: "more than 64 dimensions"},
	{name: "elements overflow", header: shaped("U8", "[4294967296,4294967296]"), data: 16,
		reason: "shape [4294967296 4294967296] has 2^63 elements or more"},
	{name: "elements wrap to 16", header: shaped("U8", "[16,1152921504606846977]"), data: 16,
		reason: "2^63 elements or more"},
	{name: "elements of 2^63", header: shaped("U8", "[9223372036854775808]"), data: 16,
		reason: "2^63 elements or more"},
	{name: "bytes overflow", header: shaped("F64", "[4611686018427387904]"), data: 16, reason: "2^64 bytes or more"},
	{name: "bytes wrap to 16", header: shaped("F64", "[2305843009213693954]"), data: 16, reason: "2^64 bytes or more"},
	{name: "bits wrap to 16 bytes", header: sized("F64", "[288230376151711746]"), data: 16,
		reason: "has 2305843009213693968 bytes, but data_offsets [0, 16] have 16"},
	{name: "elements of an unknown type overflow", header: shaped("Q9", "[4294967296,4294967296]"), data: 16,
		reason: "2^63 elements or more"},
	{name: "half a byte", header: shaped("F4", "[31]"), data: 16,
		reason: "31 elements of F4 of 4 bits each are not whole bytes"},
	{name: "half a byte in rows", header: shaped("F4", "[3,5]"), data: 16, reason: "15 elements of F4 of 4 bits"},
	{name: "six bits", header: shaped("F6_E2M3", "[1]"), data: 16, reason: "1 elements of F6_E2M3 of 6 bits each"},
	{name: "twelve bits", header: shaped("F6_E3M2", "[2]"), data: 16, reason: "2 elements of F6_E3M2 of 6 bits each"},
	{name: "too few bytes", header: sized("F32", "[2,2,2]"), data: 16,
		reason: "shape [2 2 2] of F32 has 32 bytes, but data_offsets [0, 16] have 16"},
	{name: "too many bytes", header: sized("F64", "[]"), data: 16, reason: "shape [] of F64 has 8 bytes, but"},
	{name: "bytes without elements", header: sized("F64", "[3,0]"), data: 16, reason: "shape [3 0] of F64 has 0 bytes"},
	{name: "too many bytes of F4", header: sized("F4", "[30]"), data: 16, reason: "shape [30] of F4 has 15 bytes"},
	{name: "unknown type without elements", header: sized("Q9", "[0]"), data: 16,
		reason: `0 elements of the unknown type "Q9" cannot have 16 bytes`},
	{name: "unknown type without bytes", header: one(`"dtype":"Q9","shape":[1],§"data_offsets":[0,0]`),
		reason: `1 elements of the unknown type "Q9" cannot have 0 bytes`},
	{name: "offsets as text", header: one(`"dtype":"U8","data_offsets":§"0,16"`),
		reason: "want a list with two offsets"},
	{name: "no offsets", header: one(`§"data_offsets":[]`), reason: "data_offsets has 0 numbers, want two"},
	{name: "one offset", header: one(`§"data_offsets":[16]`), reason: "data_offsets has 1 numbers, want two"},
	{name: "three offsets", header: one(`"data_offsets":[0,8,§16]`), reason: "data_offsets has more than two numbers"},
	{name: "end before begin", header: one(`"dtype":"U8","shape":[16],§"data_offsets":[16,0]`), data: 16,
		reason: "data_offsets [16, 0] end before they begin"},
	{name: "end wraps", header: one(`"dtype":"U8","shape":[16],§"data_offsets":[18446744073709551600,0]`), data: 16,
		reason: "end before they begin"},
	{name: "end of 2^64-1", header: one(`"dtype":"U8","shape":[16],§"data_offsets":[0,18446744073709551615]`), data: 16,
		reason: "data_offsets [0, 18446744073709551615] are beyond the end of any file"},
	{name: "end wraps with the header",
		header: one(`"dtype":"U8","shape":[16],§"data_offsets":[9223372036854775784,9223372036854775800]`), data: 16,
		reason: "are beyond the end of any file"},
	{name: "a hole at the start", header: marked("{" + bytesAt("a", 1, 16) + "}"), data: 16,
		reason: `tensor "a": it starts at offset 64, but the 1 bytes before it belong to no tensor`},
	{name: "a hole", header: marked("{" + bytesAt("a", 0, 4) + "," + bytesAt("b", 12, 16) + "}"), data: 16,
		reason: `tensor "b": it starts at offset 127, but the 8 bytes before it belong to no tensor`},
	{name: "a hole before nothing", header: marked("{" + bytesAt("a", 0, 8) + "," + bytesAt("b", 9, 9) + "}"), data: 8,
		reason: "but the 1 bytes before it"},
	{name: "an overlap of a byte", header: marked("{" + bytesAt("a", 0, 9) + "," + bytesAt("b", 8, 16) + "}"), data: 16,
		reason: `tensor "b": its 8 bytes at offset 122 overlap tensor "a", which ends at offset 123`},
	{name: "the same bytes", header: marked("{" + bytesAt("a", 0, 16) + "," + bytesAt("b", 0, 16) + "}"), data: 16,
		reason: `overlap tensor "a"`},
	{name: "one inside another", header: marked("{" + bytesAt("a", 0, 16) + "," + bytesAt("b", 4, 8) + "}"), data: 16,
		reason: `overlap tensor "a"`},
	{name: "nothing inside another", header: marked("{" + bytesAt("a", 0, 16) + "," + bytesAt("b", 8, 8) + "}"),
		data: 16, reason: `its 0 bytes at offset 123 overlap tensor "a"`},
	{name: "an overlap out of order", header: strings.Replace("{"+bytesAt("b", 8, 16)+","+bytesAt("a", 0, 9)+"}",
		`"data_`, `§"data_`, 1), data: 16, reason: `tensor "b": its 8 bytes`},
	{name: "truncated by a byte", header: "{" + bytesAt("a", 0, 16) + "}", data: 15, at: 8 + 55 + 15,
		reason: "the file is truncated: its tensors end at offset 79, so 1 bytes are missing"},
	{name: "truncated after the header", header: "{" + bytesAt("a", 0, 16) + "}", at: 8 + 55,
		reason: "so 16 bytes are missing"},
	{name: "a byte more", header: "{" + bytesAt("a", 0, 16) + "}", data: 17, at: 8 + 55 + 16,
		reason: "1 bytes follow the last tensor, which the format does not allow"},
	{name: "bytes without tensors", header: "{}", data: 3, at: 10, reason: "3 bytes follow the last tensor"},
}

// numbers are integers that are written oddly, in the place of the 16 in shape and data_offsets.
var numbers = []struct{ text, reason string }{
	{"1e3", "1e3 is not a plain integer"},
	{"1E1", "1E1 is not a plain integer"},
	{"16.0", "16.0 is not a plain integer"},
	{"-16", "-16 is not a plain integer of zero or more"},
	{"-0", "-0 is not a plain integer"},
	{"016", "016 starts with a zero"},
	{"00", "00 starts with a zero"},
	{"18446744073709551616", "18446744073709551616 does not fit into 64 bits"},
	{"184467440737095516160", "184467440737095516160 does not fit into 64 bits"},
	{"99999999999999999999", "99999999999999999999 does not fit into 64 bits"},
	{"1" + strings.Repeat("0", 1000), "100000000000000000000000 does not fit into 64 bits"},
	{"+16", "found +, want"},
	{".5", "found ., want"},
	{"NaN", "found N, want"},
	{"Infinity", "found I, want"},
	{"0x10", "found x, want a comma or ]"},
	{"1_6", "found _, want a comma or ]"},
	{`"16"`, `found ", want`},
	{"null", "found n, want"},
	{"true", "found t, want"},
	{"[16]", "found [, want"},
	{"", "found ], want"},
}

func numberRefusals() (rows []refusal) {
	for _, n := range numbers {
		mark, odd := "§", n.text
		if i := strings.IndexAny(odd, "x_"); i > 0 {
			mark, odd = "", odd[:i]+"§"+odd[i:]
		}
		rows = append(rows,
			refusal{name: "shape " + n.text, data: 16, reason: n.reason,
				header: one(`"dtype":"U8","shape":[1,` + mark + odd + `],"data_offsets":[0,16]`)},
			refusal{name: "data_offsets " + n.text, data: 16, reason: n.reason,
				header: one(`"dtype":"U8","shape":[16],"data_offsets":[0,` + mark + odd + `]`)})
	}
	return rows
}

func TestRefused(t *testing.T) {
	for _, group := range [][]refusal{syntax, layouts, numberRefusals()} {
		for _, row := range group {
			t.Run(row.name, func(t *testing.T) {
				file, at := row.file()
				mustRefuse(t, file, at, row.reason)
			})
		}
	}
}

// length returns the start of a file whose header has n bytes.
func length(n uint64, header string) string {
	return string(binary.LittleEndian.AppendUint64(nil, n)) + header
}

// preambles are whole files.
var preambles = []struct {
	name, file string
	at         int64
	reason     string
}{
	{"empty", "", 0, "not a safetensors file: it is empty"},
	{"seven bytes", "\x01\x00\x00\x00\x00\x00\x02", 0, "it has only 7 bytes"},
	{"only a length", length(2, ""), 0, "it has only 8 bytes"},
	{"zeros", strings.Repeat("\x00", 4096), 0, "starts with zeros, like an unfinished download"},
	{"eight zeros", length(0, "{}"), 0, "a header length of 0 bytes, want at least 2"},
	{"a length of 1", length(1, "{}"), 0, "a header length of 1 bytes, want at least 2"},
	{"a length of 2^64-1", length(1<<64-1, "{}"), 0,
		"a header length of 18446744073709551615 bytes, want at most 100000000"},
	{"a length of 2^63", length(1<<63, "{}"), 0, "want at most 100000000"},
	{"a length above the cap", length(100_000_001, "{}"), 0, "want at most 100000000"},
	{"a length beyond the file", length(3, "{}"), 10, "the file is truncated: its header has 3 bytes, but 2 are left"},
	{"a length of the cap beyond the file", length(100_000_000, "{}"), 10, "its header has 100000000 bytes"},
	{"a space before the header", length(3, " {}"), 8, `its header starts with " ", want {`},
	{"a list", length(2, "[]"), 8, `its header starts with "[", want {`},
	{"an escape", length(4, "\x1b[2J"), 8, `its header starts with "\x1b", want {`},
	{"Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", 0,
		"is a Git LFS pointer: `git lfs pull` fetches the file"},
	{"web page", "\n <!DOCTYPE html><html>", 0, "it is a web page"},
	{"web page without a type", "<html><head>", 0, "it is a web page"},
	{"gated", "Access to model demo/x is restricted and you are not in the authorized list.", 0,
		`is restricted and you are not in the auth"...`},
	{"short text", "gone", 0, `it is text: "gone"`},
	{"JSON error", `{"error":"Invalid username or password."}`, 0, `it is text: "{\"error\":`},
	{"PyTorch", "PK\x03\x04\x00\x00\x08\x08\x00\x00", 0, "is a ZIP archive, like PyTorch's files"},
	{"old PyTorch", "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P", 0, "is a Python pickle"},
	{"GGUF", "GGUF\x03\x00\x00\x00\x00\x00\x00\x00", 0, "is a GGUF file"},
}

func TestRefusedPreambles(t *testing.T) {
	for _, row := range preambles {
		t.Run(row.name, func(t *testing.T) { mustRefuse(t, []byte(row.file), row.at, row.reason) })
	}
}
