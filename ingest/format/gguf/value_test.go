package gguf_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

func TestValuesAsJSONAndText(t *testing.T) {
	long := strings.Repeat("ab", 2047) + "é…" + "tail"
	for _, row := range []struct {
		name        string
		value       any
		json, words string
	}{
		{"uint8", uint8(255), `255`, `255`},
		{"int8", int8(-1), `-1`, `-1`},
		{"uint64", uint64(math.MaxUint64), `18446744073709551615`, `18446744073709551615`},
		{"int64", int64(math.MinInt64), `-9223372036854775808`, `-9223372036854775808`},
		{"float32", float32(1e-5), `0.00001`, `1e-05`},
		{"float32 of a few digits", float32(0.1), `0.1`, `0.1`},
		{"float64", 1e300, `1e+300`, `1e+300`},
		{"not a number", math.NaN(), `"NaN"`, `NaN`},
		{"infinity", float32(math.Inf(1)), `"Infinity"`, `+Inf`},
		{"negative infinity", math.Inf(-1), `"-Infinity"`, `-Inf`},
		{"bool", true, `true`, `true`},
		{"string", "a\"\x1b[0m\x00", `"a\"\u001b[0m\u0000"`, `"a\"\x1b[0m\x00"`},
		{"string that is not UTF-8", "a\xff\xfe", `"a\ufffd\ufffd"`, `"a\xff\xfe"`},
		{"empty string", "", `""`, `""`},
		{"long string", long, `{"type":"string","length":` + "4103" + `,"first":"` + long[:4096] + `"}`,
			`"` + long[:4096] + `"... (4103 bytes)`},
		{"array", []string{"a", "\xff"}, `{"type":"string","length":2,"first":["a","\ufffd"]}`, `array of 2 x string`},
		{"long array", []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, `{"type":"uint8","length":10,"first":[1,2,3,4,5,6,7,8]}`,
			`array of 10 x uint8`},
		{"empty array", []float32{}, `{"type":"float32","length":0}`, `array of 0 x float32`},
		{"array of no numbers", []float32{float32(math.NaN())}, `{"type":"float32","length":1,"first":["NaN"]}`,
			`array of 1 x float32`},
		{"nested array", gguftest.Array{Elem: gguf.ValueArray, Items: []any{[]uint8{1}}},
			`{"type":"array","length":1,"first":[{"type":"uint8","length":1}]}`, `array of 1 x array`},
	} {
		t.Run(row.name, func(t *testing.T) {
			var r gguftest.Raw
			f, err := parse(r.Start(3, 0, 1).KV("k\xff", row.value).Bytes)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(f.Metadata[0])
			want := `{"key":"k\ufffd","type":"` + f.Metadata[0].Value.Type.String() + `","value":` + row.json + `}`
			if err != nil || string(got) != want {
				t.Errorf("got %s, %v\nwant %s", got, err, want)
			}
			if words := f.Metadata[0].Value.String(); words != row.words {
				t.Errorf("got %s, want %s", words, row.words)
			}
		})
	}
}
