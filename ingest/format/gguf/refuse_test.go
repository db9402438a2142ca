package gguf_test

import (
	"math"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

// refusal is an invalid file. write builds it and returns the offset of the invalid field.
type refusal struct {
	name   string
	write  func(r *gguftest.Raw) int64
	reason string
}

const (
	f32 = gguf.TypeF32
	q4k = gguf.TypeQ4K
)

var preambles = []refusal{
	{"empty", func(r *gguftest.Raw) int64 { return 0 }, "it is empty"},
	{"three bytes", func(r *gguftest.Raw) int64 { r.Text("GGU"); return 0 }, "it has only 3 bytes"},
	{"four bytes", func(r *gguftest.Raw) int64 { r.Text("GGUF"); return 4 }, "ends inside the version"},
	{"git lfs pointer", func(r *gguftest.Raw) int64 {
		r.Text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")
		return 0
	}, "Git LFS pointer"},
	{"web page", func(r *gguftest.Raw) int64 { r.Text("\n <!DOCTYPE html><html>"); return 0 }, "a web page"},
	{"text", func(r *gguftest.Raw) int64 { r.Text("../blobs/é\n"); return 0 },
		`it is text: "../blobs/é\n"`},
	{"long text", func(r *gguftest.Raw) int64 { r.Text(strings.Repeat("a", 63) + "é"); return 0 },
		`it is text: "` + strings.Repeat("a", 63) + `"...`},
	{"UTF-16 text", func(r *gguftest.Raw) int64 { r.Text("\xff\xfev\x001\x00\xac\x20"); return 0 },
		`it is UTF-16 text: "v1€"`},
	{"big-endian UTF-16 text that ends in a character", func(r *gguftest.Raw) int64 {
		r.Text("\xfe\xff\x00v\x001\xd8\x3d")
		return 0
	}, `it is UTF-16 text: "v1"`},
	{"long UTF-16 text", func(r *gguftest.Raw) int64 { r.Text("\xff\xfe" + strings.Repeat("b\x00", 40)); return 0 },
		`UTF-16 text: "` + strings.Repeat("b", 31) + `"...`},
	{"half a character of UTF-16", func(r *gguftest.Raw) int64 { r.Text("\xff\xfe\x00\xdcb\x00"); return 0 },
		`starts with "\xff\xfe\x00\xdc"`},
	{"legacy", func(r *gguftest.Raw) int64 { r.Text("tjgg\x01\x00\x00\x00"); return 0 }, "format ggjt"},
	{"escapes in magic", func(r *gguftest.Raw) int64 { r.Text("\x1b[2J\x00"); return 0 }, `starts with "\x1b[2J"`},
	{"version 0", func(r *gguftest.Raw) int64 { r.Start(0, 0, 0); return 4 }, "version 0, only 1 to 3"},
	{"version 4", func(r *gguftest.Raw) int64 { r.Start(4, 0, 0); return 4 }, "version 4, only 1 to 3"},
	{"version 4 big-endian", func(r *gguftest.Raw) int64 {
		r.BigEndian = true
		r.Start(4, 0, 0)
		return 4
	}, "version 4, only 1 to 3"},
	{"ends in the counts", func(r *gguftest.Raw) int64 { r.Text("GGUF").U32(3).U64(0).U32(0); return 16 },
		"ends inside the number of keys, which needs 8 bytes: 4 are left"},
	{"tensors 2^63", func(r *gguftest.Raw) int64 { r.Start(3, 1<<63, 0); return 8 },
		"9223372036854775808 tensors, want at most 10000000"},
	{"keys 2^63", func(r *gguftest.Raw) int64 { r.Start(3, 0, 1<<63); return 16 },
		"9223372036854775808 keys, want at most 100000"},
	{"tensors above the cap", func(r *gguftest.Raw) int64 { r.Start(3, 10_000_001, 0); return 8 }, "at most 10000000"},
	{"keys above the cap", func(r *gguftest.Raw) int64 { r.Start(3, 0, 100_001); return 16 }, "at most 100000"},
	{"tensors beyond the file", func(r *gguftest.Raw) int64 { r.Start(3, 5, 0).Zeros(5*24 - 1); return 8 },
		"5 tensors take at least 120 bytes, but 119 are left"},
	{"keys beyond the file", func(r *gguftest.Raw) int64 { r.Start(3, 0, 3).Zeros(3*14 - 1); return 16 },
		"3 keys take at least 42 bytes, but 41 are left"},
	{"keys and tensors beyond the file", func(r *gguftest.Raw) int64 { r.Start(3, 1, 1).Zeros(37); return 8 },
		"1 keys and 1 tensors take at least 38 bytes, but 37 are left"},
	{"version 1 beyond the file", func(r *gguftest.Raw) int64 {
		r.Short = true
		r.Start(1, 1, 0).Zeros(19)
		return 8
	}, "1 tensors take at least 20 bytes, but 19 are left"},
}

// badValue returns a file with one key, whose value is invalid.
func badValue(t gguf.ValueType, write func(r *gguftest.Raw) int64) func(r *gguftest.Raw) int64 {
	return func(r *gguftest.Raw) int64 { return write(r.Start(3, 0, 1).Key("the.key", t)) }
}

func nested(depth int) func(r *gguftest.Raw) int64 {
	return badValue(gguf.ValueArray, func(r *gguftest.Raw) int64 {
		for range depth - 1 {
			r.U32(uint32(gguf.ValueArray)).U64(1)
		}
		at := r.Len()
		r.U32(uint32(gguf.ValueUint8)).U64(1).U8(0)
		return at
	})
}

func alignment(value any, inValue int64) func(r *gguftest.Raw) int64 {
	return func(r *gguftest.Raw) int64 {
		at := r.Start(3, 0, 1).String("general.alignment").Len()
		r.Bytes = r.Bytes[:24]
		r.KV("general.alignment", value).Zeros(64)
		return at + inValue
	}
}

var metadata = []refusal{
	{"name beyond the file", func(r *gguftest.Raw) int64 { r.Start(3, 0, 1).U64(100).Zeros(50); return 24 },
		"key 1 of 1: name of 100 bytes, but 50 are left"},
	{"name of 2^64-1 bytes", func(r *gguftest.Raw) int64 { r.Start(3, 0, 1).U64(math.MaxUint64).Zeros(50); return 24 },
		"at most 65535"},
	{"name of 65536 bytes", func(r *gguftest.Raw) int64 {
		r.Start(3, 0, 1).KV(strings.Repeat("k", 65536), uint8(1))
		return 24
	}, "name of 65536 bytes, want at most 65535"},
	{"empty name", func(r *gguftest.Raw) int64 { r.Start(3, 0, 1).KV("", uint64(1)); return 24 }, "the name is empty"},
	{"same name twice", func(r *gguftest.Raw) int64 {
		at := r.Start(3, 0, 3).KV("a", uint8(1)).KV("b", uint8(1)).Len()
		r.KV("a", "other")
		return at
	}, `key "a": used twice, first at offset 24`},
	{"two names twice", func(r *gguftest.Raw) int64 {
		at := r.Start(3, 0, 4).KV("b", uint8(1)).KV("a", uint8(1)).Len()
		r.KV("a", uint8(1)).KV("b", uint8(1))
		return at
	}, `key "a": used twice, first at offset 38`},
	{"type 13", badValue(13, func(r *gguftest.Raw) int64 { r.Zeros(9); return r.Len() - 13 }),
		`key "the.key": the type of the value is 13`},
	{"type -1", badValue(math.MaxUint32, func(r *gguftest.Raw) int64 { r.Zeros(9); return r.Len() - 13 }), "unknown"},
	{"ends in the value", badValue(gguf.ValueUint64, func(r *gguftest.Raw) int64 { r.Zeros(7); return r.Len() - 7 }),
		"ends inside the value, which needs 8 bytes: 7 are left"},
	{"ends in the type", func(r *gguftest.Raw) int64 {
		at := r.Start(3, 0, 1).String("0123456789").Len()
		r.Zeros(3)
		return at
	}, "ends inside the type of the value"},
	{"string beyond the file",
		badValue(gguf.ValueString, func(r *gguftest.Raw) int64 { r.U64(21).Zeros(20); return r.Len() - 28 }),
		"string of 21 bytes, but 20 are left"},
	{"string of 2^63 bytes",
		badValue(gguf.ValueString, func(r *gguftest.Raw) int64 { r.U64(1 << 63).Zeros(20); return r.Len() - 28 }),
		"string of 9223372036854775808 bytes, want at most 67108864"},
	{"string of -1 bytes", badValue(gguf.ValueString,
		func(r *gguftest.Raw) int64 { r.U64(math.MaxUint64).Zeros(20); return r.Len() - 28 }),
		"at most 67108864"},
	{"array of -1 items", badValue(gguf.ValueArray,
		func(r *gguftest.Raw) int64 { r.U32(0).U64(math.MaxUint64); return r.Len() - 8 }),
		"array of 18446744073709551615 items, want at most 1073741824"},
	{"array of 2^63 items", badValue(gguf.ValueArray,
		func(r *gguftest.Raw) int64 { r.U32(8).U64(1 << 63); return r.Len() - 8 }),
		"at most 1073741824"},
	{"array above the cap", badValue(gguf.ValueArray,
		func(r *gguftest.Raw) int64 { r.U32(0).U64(1<<30 + 1); return r.Len() - 8 }),
		"array of 1073741825 items, want at most 1073741824"},
	{"array of the cap beyond the file", badValue(gguf.ValueArray,
		func(r *gguftest.Raw) int64 { r.U32(9).U64(1 << 30).Zeros(99); return r.Len() - 99 - 8 }),
		"array of 1073741824 items takes at least 12884901888 bytes, but 99 are left"},
	{"array beyond the file",
		badValue(gguf.ValueArray, func(r *gguftest.Raw) int64 { r.U32(4).U64(5).Zeros(19); return r.Len() - 27 }),
		"array of 5 items takes at least 20 bytes, but 19 are left"},
	{"array of strings beyond the file", badValue(gguf.ValueArray,
		func(r *gguftest.Raw) int64 { r.U32(8).U64(3).Zeros(23); return r.Len() - 31 }),
		"takes at least 24 bytes, but 23 are left"},
	{"string in array beyond the file", badValue(gguf.ValueArray, func(r *gguftest.Raw) int64 {
		at := r.U32(8).U64(20).Zeros(8 * 19).Len()
		r.U64(1)
		return at
	}), "string of 1 bytes, but 0 are left"},
	{"array of unknown type",
		badValue(gguf.ValueArray, func(r *gguftest.Raw) int64 { r.U32(77).U64(0); return r.Len() - 12 }),
		"the type of the items is 77"},
	{"arrays nested 9 deep", nested(9), "nested more than 8 deep"},
	{"arrays nested 5000 deep", func(r *gguftest.Raw) int64 {
		nested(5000)(r)
		return 24 + 8 + int64(len("the.key")) + 4 + 8*12
	}, "nested more than 8 deep"},
	{"bool of 2", badValue(gguf.ValueBool, func(r *gguftest.Raw) int64 { r.U8(2); return r.Len() - 1 }), "a bool is 2"},
	{"bool of 255 late in an array", badValue(gguf.ValueArray, func(r *gguftest.Raw) int64 {
		r.U32(uint32(gguf.ValueBool)).U64(100_000).Zeros(99_999).U8(255)
		return r.Len() - 1
	}), "a bool is 255"},
	{"alignment 0", alignment(uint32(0), 4), "0 is not a power of two"},
	{"alignment 24", alignment(uint32(24), 4), "24 is not a power of two"},
	{"alignment 2^30", alignment(uint32(1<<30), 4), "1073741824 bytes, want at most 1048576"},
	{"alignment 2^21", alignment(uint32(1<<21), 4), "2097152 bytes, want at most 1048576"},
	{"alignment 2^31", alignment(uint32(1<<31), 4), "at most 1048576"},
	{"alignment in 64 bits", alignment(uint64(32), 0), "must be of type uint32, not uint64"},
	{"alignment as text", alignment("32", 0), "must be of type uint32, not string"},
	{"alignment as array", alignment([]uint32{32}, 0), "must be of type uint32, not array"},
}

// badTensor returns a file with an F32 tensor "a" of 8 elements and an invalid second tensor. The
// fields of the second info are at offsets 0 (name), 9 (number of dimensions), and 13 (dimensions).
func badTensor(write func(r *gguftest.Raw)) func(r *gguftest.Raw) int64 {
	return func(r *gguftest.Raw) int64 {
		at := r.Start(3, 2, 0).Tensor("a", []uint64{8}, f32, 0).Len()
		write(r)
		r.Pad(32).Zeros(96)
		return at
	}
}

func plus(n int64, write func(r *gguftest.Raw) int64) func(r *gguftest.Raw) int64 {
	return func(r *gguftest.Raw) int64 { return write(r) + n }
}

// second is badTensor with a complete info. field is the offset of the invalid field in the info.
func second(field int64, shape []uint64, t gguf.Type, offset uint64) func(r *gguftest.Raw) int64 {
	return plus(field, badTensor(func(r *gguftest.Raw) { r.Tensor("b", shape, t, offset) }))
}

var tensors = []refusal{
	{"name of 65537 bytes", badTensor(func(r *gguftest.Raw) { r.Tensor(strings.Repeat("n", 65537), nil, f32, 32) }),
		"tensor 2 of 2: name of 65537 bytes, want at most 65536"},
	{"name of 2^63 bytes", badTensor(func(r *gguftest.Raw) { r.U64(1 << 63).Zeros(99) }), "at most 65536"},
	{"name beyond the file", func(r *gguftest.Raw) int64 { r.Start(3, 1, 0).U64(60).Zeros(59); return 24 },
		"name of 60 bytes, but 59 are left"},
	{"same name twice", badTensor(func(r *gguftest.Raw) { r.Tensor("a", []uint64{8}, f32, 32) }),
		`tensor name "a" used twice, first at offset 24`},
	{"empty name twice", func(r *gguftest.Raw) int64 {
		at := r.Start(3, 2, 0).Tensor("", nil, f32, 0).Len()
		r.Tensor("", nil, f32, 32).Pad(32).Zeros(64)
		return at
	}, `tensor name "" used twice`},
	{"long name twice", func(r *gguftest.Raw) int64 {
		name := strings.Repeat("n", 65536)
		at := r.Start(3, 2, 0).Tensor(name, []uint64{8}, f32, 0).Len()
		r.Tensor(name, []uint64{8}, f32, 32).Pad(32).Zeros(64)
		return at
	}, `n"... used twice, first at offset 24`},
	{"9 dimensions", second(9, []uint64{1, 1, 1, 1, 1, 1, 1, 1, 1}, f32, 32),
		`tensor "b": 9 dimensions, want at most 8`},
	{"2^32-1 dimensions", plus(9, badTensor(func(r *gguftest.Raw) { r.String("b").U32(math.MaxUint32).Zeros(64) })),
		"at most 8"},
	{"negative dimension", second(21, []uint64{1, 1 << 63}, f32, 32),
		"dimension 2 is -9223372036854775808, which is negative"},
	{"product wraps to 0", second(13, []uint64{1 << 32, 1 << 32}, f32, 32), "2^63 elements or more"},
	{"product wraps to 8", second(13, []uint64{8, 1<<61 + 1, 1}, gguf.TypeI8, 32), "2^63 elements or more"},
	{"product of 2^63", second(13, []uint64{1 << 21, 1 << 21, 1 << 21}, gguf.TypeI8, 32), "2^63 elements or more"},
	{"product of eight wraps", second(13, []uint64{256, 256, 256, 256, 256, 256, 256, 256}, gguf.TypeI8, 32),
		"2^63 elements or more"},
	{"size wraps", second(21, []uint64{1 << 62}, f32, 32), "2^63 bytes or more"},
	{"size of 2^63", second(21, []uint64{1 << 61}, f32, 32), "2^63 bytes or more"},
	{"negative type", second(21, []uint64{8}, math.MaxUint32, 32), "type -1 is negative"},
	{"most negative type", second(21, []uint64{8}, 1<<31, 32), "type -2147483648 is negative"},
	{"half a block", second(21, []uint64{128}, q4k, 32),
		"a row of 128 elements is not a multiple of the 256 in a block of Q4_K"},
	{"blocks across rows", second(29, []uint64{128, 2}, q4k, 32), "a row of 128 elements"},
	{"scalar in blocks", second(13, nil, q4k, 32), "a row of 1 elements"},
	{"half a row of no elements", second(29, []uint64{128, 0}, q4k, 32), "a row of 128 elements"},
	{"misaligned", second(25, []uint64{8}, f32, 33), "offset 33 is not a multiple of the alignment 32"},
	{"misaligned for its file", func(r *gguftest.Raw) int64 {
		at := r.Start(3, 1, 1).KV("general.alignment", uint32(64)).Len() + 25
		r.Tensor("b", []uint64{8}, f32, 32).Pad(64).Zeros(64)
		return at
	}, "offset 32 is not a multiple of the alignment 64"},
	{"offset 2^63", second(25, []uint64{8}, f32, 1<<63), "offset 9223372036854775808 is beyond the end"},
	{"offset wraps with the header", second(25, []uint64{8}, f32, math.MaxInt64-31),
		"32 bytes at 96 + 9223372036854775776 extend beyond the end"},
	{"offset beyond the end", second(25, []uint64{8}, f32, 1024),
		"32 bytes at 96 + 1024 extend beyond the end of the file of 192 bytes"},
	{"first of two beyond the end", func(r *gguftest.Raw) int64 {
		r.Start(3, 2, 0).Tensor("a", []uint64{8}, f32, 64).Tensor("b", []uint64{8}, f32, 0).Pad(32).Zeros(64)
		return 24 + 25
	}, `tensor "a": 32 bytes at 96 + 64 extend beyond`},
	{"one byte beyond the end", second(25, []uint64{33}, gguf.TypeI8, 64), "33 bytes at 96 + 64 extend beyond"},
	{"no bytes far beyond the end", second(25, []uint64{0}, f32, 128), "0 bytes at 96 + 128 extend beyond"},
	{"unknown type beyond the end", second(25, []uint64{8}, 99, 96), "extend beyond the end"},
	{"same bytes", second(25, []uint64{8}, f32, 0),
		`tensor "b": its 32 bytes at 96 overlap tensor "a" with 32 bytes at 96`},
	{"overlap by a byte", func(r *gguftest.Raw) int64 {
		r.Start(3, 2, 0).Tensor("a", []uint64{33}, gguf.TypeI8, 0).Tensor("b", []uint64{8}, f32, 32).Pad(32).Zeros(96)
		return 24 + 33 + 25
	}, `overlap tensor "a" with 33 bytes at 96`},
	{"overlap out of order", func(r *gguftest.Raw) int64 {
		r.Start(3, 2, 0).Tensor("a", []uint64{8}, f32, 32).Tensor("b", []uint64{33}, gguf.TypeI8, 0).Pad(32).Zeros(96)
		return 24 + 25
	}, `tensor "a": its 32 bytes at 128 overlap tensor "b" with 33 bytes at 96`},
	{"overlap of tensors that are not neighbours", func(r *gguftest.Raw) int64 {
		r.Start(3, 3, 0).Tensor("a", []uint64{64}, f32, 0).Tensor("e", []uint64{0}, f32, 32)
		at := r.Len() + 25
		r.Tensor("b", []uint64{8}, f32, 64).Pad(32).Zeros(256)
		return at
	}, `overlap tensor "a"`},
	{"unknown types at one place", func(r *gguftest.Raw) int64 {
		r.Start(3, 2, 0).Tensor("a", []uint64{8}, 99, 0).Tensor("b", []uint64{8}, 99, 0).Pad(32).Zeros(96)
		return 24 + 33 + 25
	}, `overlap tensor "a"`},
	{"unknown type in a known tensor", second(25, []uint64{8}, 4, 0), `overlap tensor "a"`},
	{"overlap with a long name", func(r *gguftest.Raw) int64 {
		at := r.Start(3, 2, 0).Tensor(strings.Repeat("n", 200), []uint64{8}, f32, 0).Len() + 25
		r.Tensor("b", []uint64{8}, f32, 0).Pad(32).Zeros(32)
		return at
	}, `n"... with 32 bytes`},
	{"forks' numbers at one place", func(r *gguftest.Raw) int64 {
		r.Start(3, 2, 0).Tensor("a", []uint64{64}, 42, 0).Tensor("b", []uint64{64}, 42, 0).Pad(32).Zeros(96)
		return 24 + 33 + 25
	}, `overlap tensor "a"`},
	{"fork's number beyond the end", second(25, []uint64{64}, 42, 96), "18 bytes at 96 + 96 extend beyond the end"},
	{"truncated in a type of ggml that forks use, too", func(r *gguftest.Raw) int64 {
		r.Start(3, 2, 0).Tensor("a", []uint64{128}, gguf.TypeMXFP4, 0).Tensor("b", []uint64{128}, gguf.TypeMXFP4, 96).
			Pad(32).Zeros(96 + 67)
		return 24 + 33 + 25
	}, `tensor "b": 68 bytes at 96 + 96 extend beyond the end`},
	{"known type in a fork's", func(r *gguftest.Raw) int64 {
		r.Start(3, 2, 0).Tensor("a", []uint64{64}, f32, 0).Tensor("b", []uint64{128}, gguf.TypeMXFP4, 96).Pad(32).
			Zeros(256)
		return 24 + 33 + 25
	}, `its 68 bytes at 192 overlap tensor "a" with 256 bytes`},
	{"ends in the info", func(r *gguftest.Raw) int64 {
		r.Start(3, 1, 0).Tensor("b", []uint64{8}, f32, 0)
		r.Bytes = r.Bytes[:len(r.Bytes)-1]
		return 24 + 25
	}, `tensor "b": the file ends inside the offset`},
	{"name with escapes", func(r *gguftest.Raw) int64 {
		r.Start(3, 1, 0).Tensor("\x1b[31m\"\x00\xff", []uint64{8}, f32, 1).Zeros(64)
		return 24 + 8 + 8 + 4 + 8 + 4
	}, `tensor "\x1b[31m\"\x00\xff": offset 1`},
}

func TestRefused(t *testing.T) {
	for _, group := range []struct {
		name string
		rows []refusal
	}{{"preamble", preambles}, {"metadata", metadata}, {"tensors", tensors}} {
		for _, row := range group.rows {
			t.Run(group.name+"/"+row.name, func(t *testing.T) {
				var r gguftest.Raw
				at := row.write(&r)
				mustRefuse(t, r.Bytes, at, row.reason)
			})
		}
	}
}
