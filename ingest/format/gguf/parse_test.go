package gguf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

// sample returns a file with values of all types and tensors of several types.
func sample() gguftest.File {
	return gguftest.File{
		KVs: []gguftest.KV{
			{Key: "u8", Value: uint8(200)}, {Key: "i8", Value: int8(-100)},
			{Key: "u16", Value: uint16(60_000)}, {Key: "i16", Value: int16(-30_000)},
			{Key: "u32", Value: uint32(4_000_000_000)}, {Key: "i32", Value: int32(-2_000_000_000)},
			{Key: "u64", Value: uint64(1 << 63)}, {Key: "i64", Value: int64(-1 << 63)},
			{Key: "f32", Value: float32(0.1)}, {Key: "f64", Value: 0.1},
			{Key: "yes", Value: true}, {Key: "no", Value: false}, {Key: "text", Value: "hello"},
			{Key: "tokens", Value: []string{"a", "", "b"}}, {Key: "flags", Value: []bool{true, false}},
			{Key: "scores", Value: []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}},
			{Key: "empty", Value: []string{}},
			{Key: "nested", Value: gguftest.Array{Elem: gguf.ValueArray, Items: []any{[]string{"x"}, []uint32{1, 2}}}},
		},
		Tensors: []gguftest.Tensor{
			{Name: "matrix", Type: gguf.TypeQ4K, Shape: []uint64{512, 3}},
			{Name: "none", Type: gguf.TypeF16, Shape: []uint64{7, 0}},
			{Name: "scalar", Type: gguf.TypeF64},
			{Name: "odd", Type: gguf.TypeI8, Shape: []uint64{3, 1, 1, 5}, Gap: 100},
		},
		Trailing: []byte("trailing"),
	}
}

func TestParseVersionsAndByteOrders(t *testing.T) {
	for version := uint32(1); version <= 3; version++ {
		for _, big := range []bool{false, true} {
			t.Run(fmt.Sprintf("version %d big-endian %v", version, big), func(t *testing.T) {
				want := sample()
				want.Version, want.BigEndian, want.Alignment = version, big, 64
				f, err := parse(want.Bytes())
				if err != nil {
					t.Fatal(err)
				}
				if f.Version != version || f.BigEndian != big || f.Alignment != 64 {
					t.Errorf("got version %d, big-endian %v, alignment %d", f.Version, f.BigEndian, f.Alignment)
				}
				checkValues(t, f)
				checkTensors(t, f)
			})
		}
	}
}

func checkValues(t *testing.T, f *gguf.File) {
	t.Helper()
	for _, row := range []struct {
		got, want any
	}{
		{pair(f.Uint("u8")), "200 true"}, {pair(f.Uint("u64")), "9223372036854775808 true"},
		{pair(f.Uint("general.alignment")), "64 true"}, {pair(f.String("text")), "hello true"},
		{ok(f.Uint("i8")), false}, {ok(f.Uint("f64")), false}, {ok(f.Uint("text")), false}, {ok(f.Uint("yes")), false},
		{ok(f.Uint("missing")), false}, {ok(f.String("u8")), false}, {ok(f.String("tokens")), false},
		{ok(f.String("missing")), false},
	} {
		if !reflect.DeepEqual(row.got, row.want) {
			t.Errorf("got %v, want %v", row.got, row.want)
		}
	}
	var shown strings.Builder
	for _, kv := range f.Metadata[:18] {
		fmt.Fprintln(&shown, kv.Key, kv.Value, kv.Value.First, kv.Value.Truncated())
	}
	want := `u8 200 [] false
i8 -100 [] false
u16 60000 [] false
i16 -30000 [] false
u32 4000000000 [] false
i32 -2000000000 [] false
u64 9223372036854775808 [] false
i64 -9223372036854775808 [] false
f32 0.1 [] false
f64 0.1 [] false
yes true [] false
no false [] false
text "hello" [] false
tokens array of 3 x string ["a" "" "b"] false
flags array of 2 x bool [true false] false
scores array of 9 x float32 [1 2 3 4 5 6 7 8] true
empty array of 0 x string [] false
nested array of 2 x array [array of 1 x string array of 2 x uint32] false
`
	if shown.String() != want {
		t.Errorf("values are\n%s\nwant\n%s", &shown, want)
	}
}

func pair[T any](v T, ok bool) any { return fmt.Sprintf("%v %v", v, ok) }
func ok[T any](_ T, ok bool) any   { return ok }

func checkTensors(t *testing.T, f *gguf.File) {
	t.Helper()
	d := f.DataOffset
	if d%64 != 0 || d < f.HeaderSize || d-f.HeaderSize >= 64 {
		t.Errorf("data at %d after a header of %d", d, f.HeaderSize)
	}
	for i, want := range []gguf.Tensor{
		{Name: "matrix", Type: gguf.TypeQ4K, Shape: []uint64{512, 3}, Elements: 1536, Offset: d, Size: 864},
		{Name: "none", Type: gguf.TypeF16, Shape: []uint64{7, 0}, Offset: d + 896},
		{Name: "scalar", Type: gguf.TypeF64, Elements: 1, Offset: d + 896, Size: 8},
		{Name: "odd", Type: gguf.TypeI8, Shape: []uint64{3, 1, 1, 5}, Elements: 15, Offset: d + 1088, Size: 15},
	} {
		got := f.Tensors[i]
		if got.Name != want.Name || got.Type != want.Type || !reflect.DeepEqual(got.Shape, want.Shape) ||
			got.Elements != want.Elements || got.Offset != want.Offset || got.Size != want.Size || !got.Known() {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// accepted are unusual valid files.
var accepted = []struct {
	name  string
	write func(r *gguftest.Raw)
	check func(f *gguf.File) bool
}{
	{"no keys, no tensors, no padding", func(r *gguftest.Raw) { r.Start(3, 0, 0) },
		func(f *gguf.File) bool { return f.HeaderSize == 24 && f.DataOffset == 32 }},
	{"only a tensor of 0 bytes, no padding",
		func(r *gguftest.Raw) { r.Start(3, 1, 0).Tensor("b", []uint64{0}, q4k, 0) },
		func(f *gguf.File) bool {
			return f.Tensors[0].Offset == 64 && f.Tensors[0].Size == 0 && f.Tensors[0].Known()
		}},
	{"tensor of 0 bytes after missing padding", func(r *gguftest.Raw) {
		r.Start(3, 2, 0).Tensor("a", []uint64{33}, gguf.TypeI8, 0).Tensor("b", []uint64{0}, f32, 64).Pad(32).Zeros(33)
	}, func(f *gguf.File) bool { return f.Tensors[1].Offset == 96+64 }},
	{"dimension of 0 beside dimensions whose product overflows", func(r *gguftest.Raw) {
		r.Start(3, 1, 0).Tensor("b", []uint64{1 << 62, 1 << 62, 0}, f32, 0)
	}, func(f *gguf.File) bool { return f.Tensors[0].Elements == 0 }},
	{"tensors of 0 bytes at one place, inside another", func(r *gguftest.Raw) {
		r.Start(3, 3, 0).Tensor("a", []uint64{64}, f32, 0).Tensor("b", []uint64{0}, f32, 32).
			Tensor("c", []uint64{0}, f32, 32).Pad(32).Zeros(256)
	}, func(f *gguf.File) bool { return len(f.Tensors) == 3 }},
	{"out of order, with gaps and trailing bytes", func(r *gguftest.Raw) {
		r.Start(3, 2, 0).Tensor("a", []uint64{8}, f32, 96).Tensor("b", []uint64{8}, f32, 32).Pad(32).Zeros(999)
	}, func(f *gguf.File) bool { return f.Tensors[0].Name == "a" && f.Tensors[0].Offset == 96+96 }},
	{"tensor up to the last byte",
		func(r *gguftest.Raw) { r.Start(3, 1, 0).Tensor("b", []uint64{33}, gguf.TypeI8, 0).Pad(32).Zeros(33) },
		func(f *gguf.File) bool { return f.Tensors[0].Offset == 64 }},
	{"unknown type", func(r *gguftest.Raw) {
		r.Start(3, 2, 0).Tensor("a", []uint64{3, 5}, 99, 0).Tensor("b", []uint64{8}, f32, 32).Pad(32).Zeros(64)
	}, func(f *gguf.File) bool {
		a := f.Tensors[0]
		return a.Type == 99 && a.Elements == 15 && a.Size == 32 && !a.Known() && a.Offset == 96+32
	}},
	{"unknown type in the last byte",
		func(r *gguftest.Raw) { r.Start(3, 1, 0).Tensor("a", []uint64{3}, 99, 0).Pad(32).Zeros(1) },
		func(f *gguf.File) bool { return !f.Tensors[0].Known() && f.Tensors[0].Size == 1 }},
	{"unknown type without elements", func(r *gguftest.Raw) { r.Start(3, 1, 0).Tensor("a", []uint64{0}, 99, 0) },
		func(f *gguf.File) bool { return f.Tensors[0].Known() && f.Tensors[0].Size == 0 }},
	{"removed type", func(r *gguftest.Raw) { r.Start(3, 1, 0).Tensor("a", []uint64{3}, 31, 0).Pad(32).Zeros(9) },
		func(f *gguf.File) bool {
			return !f.Tensors[0].Known() && f.Tensors[0].Type.String() == "type 31" && f.Warnings == nil
		}},
	{"MXFP4 that fits", func(r *gguftest.Raw) {
		r.Start(3, 2, 0).Tensor("a", []uint64{128}, gguf.TypeMXFP4, 0).Tensor("b", []uint64{32}, gguf.TypeMXFP4, 96).
			Pad(32).Zeros(96 + 17)
	}, func(f *gguf.File) bool {
		return f.Tensors[0].Type == gguf.TypeMXFP4 && f.Tensors[0].Size == 68 && f.Tensors[1].Size == 17 &&
			f.Warnings == nil
	}},
	{"fork's number up to the next tensor", func(r *gguftest.Raw) {
		r.Start(3, 3, 0).Tensor("a", []uint64{128}, gguf.TypeMXFP4, 0).Tensor("b", []uint64{32}, gguf.TypeMXFP4, 64).
			Tensor("c", []uint64{8}, f32, 96).Pad(32).Zeros(128)
	}, func(f *gguf.File) bool {
		return isForeign(f, 0, 39) && isForeign(f, 1, 39) && f.Tensors[2].Size == 32 && len(f.Warnings) == 1 &&
			f.Warnings[0] == `type 39 (size unknown) is not ggml's MXFP4: tensor "a": `+
				`its 68 bytes do not fit into the 64 up to the next tensor`
	}},
	{"fork's number up to the end of the file", func(r *gguftest.Raw) {
		r.Start(3, 2, 0).Tensor("a", []uint64{64}, 42, 0).Tensor("b", []uint64{64, 4}, 42, 64).Pad(32).Zeros(64 + 71)
	}, func(f *gguf.File) bool {
		return isForeign(f, 0, 42) && isForeign(f, 1, 42) && len(f.Warnings) == 1 && strings.HasSuffix(f.Warnings[0],
			`Q2_0: tensor "b": its 72 bytes do not fit into the 71 up to the end of the file`)
	}},
	{"fork's number with half a block", func(r *gguftest.Raw) {
		r.Start(3, 3, 0).Tensor("a", []uint64{64}, 40, 0).Tensor("b", []uint64{96}, 40, 64).
			Tensor("c", []uint64{33}, 39, 128).Pad(32).Zeros(129)
	}, func(f *gguf.File) bool {
		return isForeign(f, 0, 40) && isForeign(f, 1, 40) && isForeign(f, 2, 39) && len(f.Warnings) == 2 &&
			strings.HasSuffix(f.Warnings[0], `"b": a row of 96 elements is not a multiple of the 64 in a block`)
	}},
	{"fork's number with half a block and no elements",
		func(r *gguftest.Raw) { r.Start(3, 1, 0).Tensor("a", []uint64{33, 0}, 39, 0) },
		func(f *gguf.File) bool { return f.Tensors[0].Known() && f.Tensors[0].Size == 0 }},
	{"one empty name", func(r *gguftest.Raw) { r.Start(3, 1, 0).Tensor("", nil, f32, 0).Pad(32).Zeros(4) },
		func(f *gguf.File) bool { return f.Tensors[0].Name == "" && f.Tensors[0].Size == 4 }},
	{"name of 65536 bytes", func(r *gguftest.Raw) {
		r.Start(3, 2, 0).Tensor("a", nil, f32, 0).Tensor(strings.Repeat("n", 65536), nil, f32, 32).Pad(32).Zeros(36)
	}, func(f *gguf.File) bool { return len(f.Tensors[1].Name) == 65536 }},
	{"8 dimensions", func(r *gguftest.Raw) {
		r.Start(3, 1, 0).Tensor("a", []uint64{2, 3, 4, 5, 1, 1, 2, 2}, f32, 0).Pad(32).Zeros(1920)
	}, func(f *gguf.File) bool { return f.Tensors[0].Size == 1920 && len(f.Tensors[0].Shape) == 8 }},
	{"names of 63 bytes, of control characters, with a 0", func(r *gguftest.Raw) {
		r.Start(3, 2, 1).KV("\x00\"\xff\n", "\x1b\xfe").Tensor(strings.Repeat("n", 63), nil, f32, 0).
			Tensor("a\x00b", nil, f32, 32).Pad(32).Zeros(64)
	}, func(f *gguf.File) bool {
		text, _ := f.String("\x00\"\xff\n")
		return text == "\x1b\xfe" && f.Tensors[1].Name == "a\x00b"
	}},
	{"key of 65535 bytes",
		func(r *gguftest.Raw) { r.Start(3, 0, 2).KV("a", uint8(1)).KV(strings.Repeat("k", 65535), uint8(1)) },
		func(f *gguf.File) bool { return len(f.Metadata[1].Key) == 65535 }},
	{"arrays nested 8 deep", func(r *gguftest.Raw) { nested(8)(r) },
		func(f *gguf.File) bool { return f.Metadata[0].Value.First[0].Elem == gguf.ValueArray }},
	{"names of the wrong type", func(r *gguftest.Raw) {
		r.Start(3, 0, 2).KV("general.architecture", uint32(1)).KV("llama.block_count", "many")
	}, func(f *gguf.File) bool {
		_, name := f.String("general.architecture")
		_, blocks := f.Uint("llama.block_count")
		return !name && !blocks
	}},
	{"alignment 1", func(r *gguftest.Raw) {
		r.Start(3, 1, 1).KV("general.alignment", uint32(1)).Tensor("b", []uint64{3}, gguf.TypeI8, 5).Zeros(8)
	}, func(f *gguf.File) bool { return f.Alignment == 1 && f.Tensors[0].Offset == f.HeaderSize+5 }},
	{"alignment 2^20", func(r *gguftest.Raw) { r.Start(3, 0, 1).KV("general.alignment", uint32(1<<20)) },
		func(f *gguf.File) bool { return f.DataOffset == 1<<20 }},
}

// isForeign reports whether the file uses the number of tensor i for another type than ggml.
func isForeign(f *gguf.File, i int, number uint32) bool {
	t := f.Tensors[i]
	return !t.Known() && t.Size > 0 && t.Type != gguf.Type(number) && t.Type.String() == fmt.Sprintf("type %d", number)
}

func TestAccepted(t *testing.T) {
	for _, row := range accepted {
		t.Run(row.name, func(t *testing.T) {
			var r gguftest.Raw
			row.write(&r)
			f, err := parse(r.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			if !row.check(f) {
				t.Errorf("got %+v", f)
			}
			checkValid(t, f, r.Len())
		})
	}
}

func TestLongValuesAreTruncated(t *testing.T) {
	long := strings.Repeat("x", 4095) + "é" + strings.Repeat("y", 100_000)
	var r gguftest.Raw
	r.Start(3, 0, 3).KV("long", long).KV("list", []string{"short", strings.Repeat("z", 1000)}).KV("after", uint8(7))
	f, err := parse(r.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	v := f.Metadata[0].Value
	if text, _ := v.Text(); text != long[:4095] || v.Length != uint64(len(long)) || !v.Truncated() {
		t.Errorf("kept %d bytes of %d, truncated %v", len(text), v.Length, v.Truncated())
	}
	if got := string(r.Bytes[v.Offset : v.Offset+int64(v.Length)]); got != long {
		t.Errorf("the value is not at offset %d", v.Offset)
	}
	if text, _ := f.Metadata[1].Value.First[1].Text(); len(text) != 256 {
		t.Errorf("kept %d bytes of an item, want 256", len(text))
	}
	if n, ok := f.Uint("after"); n != 7 || !ok {
		t.Errorf("the key after a long value is %d, %v", n, ok)
	}
}

func TestHugeSparseFile(t *testing.T) {
	const gib = 1 << 30
	want := gguftest.File{Tensors: []gguftest.Tensor{
		{Name: "a", Type: gguf.TypeF32, Shape: []uint64{gib / 4, 5}, Zero: true},
		{Name: "b", Type: gguf.TypeF16, Shape: []uint64{gib / 2, 65}, Zero: true},
		{Name: "c", Type: gguf.TypeQ4K, Shape: []uint64{256}, Zero: true},
	}}
	check := func(t *testing.T, f *gguf.File, err error) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Tensors[0].Size != 5*gib || f.Tensors[1].Size != 65*gib || f.Tensors[2].Offset != f.DataOffset+70*gib {
			t.Errorf("got %+v", f.Tensors)
		}
	}
	t.Run("virtual", func(t *testing.T) {
		r := want.ReaderAt()
		f, err := gguf.Parse(r, r.Size())
		check(t, f, err)
	})
	t.Run("on disk", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("os.Truncate does not make sparse files on Windows")
		}
		path := filepath.Join(t.TempDir(), "huge.gguf")
		if err := want.CreateSparse(path); err != nil {
			t.Fatal(err)
		}
		src, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		f, err := gguf.Parse(src, want.Size())
		check(t, f, err)
	})
}

func TestSniff(t *testing.T) {
	for first, want := range map[string]bool{"GGUF": true, "GGUF\x03\x00": true, "GGU": false, "": false, "FUGG": false,
		"gguf": false} {
		if got := gguf.Sniff([]byte(first)); got != want {
			t.Errorf("Sniff(%q) is %v", first, got)
		}
	}
}

func TestSizeOutOfRange(t *testing.T) {
	for _, size := range []int64{-1, 1<<63 - 1} {
		if _, err := gguf.Parse(strings.NewReader("GGUF"), size); err == nil ||
			!strings.Contains(err.Error(), "out of range") {
			t.Errorf("size %d: %v", size, err)
		}
	}
}
