package gguf_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
	"github.com/hartonomous/ingest/ingest/format/header"
	"github.com/hartonomous/ingest/ingest/format/header/headertest"
)

// vocabulary returns a file with n tokens.
func vocabulary(n int) []byte {
	var r gguftest.Raw
	r.Start(3, 0, 1).Key("tokenizer.ggml.tokens", gguf.ValueArray).U32(uint32(gguf.ValueString)).U64(uint64(n))
	for i := range n {
		r.String("token"[:i%6])
	}
	return r.Bytes
}

func TestVocabularyCostsNoMemory(t *testing.T) {
	file := vocabulary(5_000_000)
	var f *gguf.File
	var err error
	took := headertest.Allocated(func() { f, err = parse(file) })
	if err != nil {
		t.Fatal(err)
	}
	if f.Metadata[0].Value.Length != 5_000_000 || f.HeaderSize != int64(len(file)) {
		t.Errorf("got %v", f.Metadata[0].Value)
	}
	if took > 100_000 {
		t.Errorf("allocated %d bytes for 5 million tokens in %d bytes", took, len(file))
	}
}

// TestArrayOfTheMaximumLength skips 4 GiB of numbers, which are not stored.
func TestArrayOfTheMaximumLength(t *testing.T) {
	var before, after gguftest.Raw
	before.Start(3, 0, 2).Key("numbers", gguf.ValueArray).U32(uint32(gguf.ValueFloat32)).U64(1 << 30).Zeros(64)
	after.KV("after", uint8(7))
	hole := int64(4<<30 - 64)
	src := &counting{ReaderAt: sparse{before.Bytes, hole, after.Bytes}}
	var f *gguf.File
	var err error
	took := headertest.Allocated(func() { f, err = gguf.Parse(src, before.Len()+hole+after.Len()) })
	if err != nil {
		t.Fatal(err)
	}
	v := f.Metadata[0].Value
	if n, _ := f.Uint("after"); n != 7 || v.Length != 1<<30 || len(v.First) != 8 {
		t.Errorf("got %v", f.Metadata)
	}
	if took > 100_000 || src.bytes > 200_000 {
		t.Errorf("allocated %d bytes, read %d", took, src.bytes)
	}
}

// sparse is a file with a hole of zeros.
type sparse struct {
	before []byte
	hole   int64
	after  []byte
}

func (s sparse) ReadAt(p []byte, at int64) (int, error) {
	start := int64(len(s.before))
	end := start + s.hole
	clear(p)
	if at < start {
		copy(p, s.before[at:])
	}
	if from := max(at, end); from < at+int64(len(p)) {
		copy(p[from-at:], s.after[from-end:])
	}
	return len(p), nil
}

// TestCountsCostNoMemory parses headers with large counts and little content.
func TestCountsCostNoMemory(t *testing.T) {
	for _, row := range []struct {
		name  string
		write func(r *gguftest.Raw)
	}{
		{"tensors", func(r *gguftest.Raw) { r.Start(3, 10_000_000, 0) }},
		{"keys", func(r *gguftest.Raw) { r.Start(3, 0, 100_000) }},
		{"string", func(r *gguftest.Raw) { r.Start(3, 0, 1).Key("a", gguf.ValueString).U64(64 << 20) }},
		{"array", func(r *gguftest.Raw) { r.Start(3, 0, 1).Key("a", gguf.ValueArray).U32(12).U64(1 << 30) }},
		{"empty arrays", func(r *gguftest.Raw) {
			r.Start(3, 0, 1).Key("a", gguf.ValueArray).U32(9).U64(4_000_000)
			for range 4_000_000 {
				r.U32(0).U64(0)
			}
			r.Bytes = r.Bytes[:r.Len()-1]
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var r gguftest.Raw
			row.write(&r)
			for _, claimed := range []int64{r.Len(), 1 << 40} {
				src := headertest.Failing{ReaderAt: bytes.NewReader(r.Bytes), From: r.Len(), Err: headertest.ErrDisk}
				took := headertest.Allocated(func() {
					if f, err := gguf.Parse(src, claimed); err == nil {
						t.Errorf("got %+v", f)
					}
				})
				if took > 100_000 {
					t.Errorf("allocated %d bytes for a file of %d bytes with size %d", took, r.Len(), claimed)
				}
			}
		})
	}
}

// manyTensors, longTensors, eightDimensions, shortTensors and manyKeys return headers whose parsed
// form needs much memory.
func manyTensors(n int) []byte {
	var r gguftest.Raw
	r.Start(3, uint64(n), 0)
	for i := range n {
		r.Tensor(fmt.Sprintf("%055d", i), []uint64{1, 1, 1, 0}, gguf.TypeF32, 0)
	}
	return r.Pad(32).Bytes
}

func longTensors(n int) []byte {
	var r gguftest.Raw
	r.Start(3, uint64(n), 0)
	for i := range n {
		r.Tensor(fmt.Sprintf("%05000d", i), []uint64{1, 1, 1, 1, 1, 1, 1, 0}, gguf.TypeF32, 0)
	}
	return r.Pad(32).Bytes
}

func eightDimensions(n int) []byte {
	var r gguftest.Raw
	r.Start(3, uint64(n), 0)
	for i := range n {
		r.Tensor(fmt.Sprintf("%x", i), []uint64{1, 1, 1, 1, 1, 1, 1, 0}, gguf.TypeF32, 0)
	}
	return r.Pad(32).Bytes
}

func shortTensors(n int) []byte {
	var r gguftest.Raw
	r.Start(3, uint64(n), 0)
	for i := range n {
		r.Tensor(fmt.Sprintf("%x", i), []uint64{0}, gguf.TypeF32, 0)
	}
	return r.Pad(32).Bytes
}

func manyKeys(n int) []byte {
	var r gguftest.Raw
	r.Start(3, 0, uint64(n))
	for i := range n {
		switch i % 3 {
		case 0:
			r.KV(fmt.Sprint(i), []string{"a", "b", strings.Repeat("c", 300)})
		case 1:
			r.KV(fmt.Sprint(i), []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9})
		case 2:
			r.KV(fmt.Sprint(i), strings.Repeat("d", 500))
		}
	}
	return r.Bytes
}

// TestMemoryLimit finds the smallest limit for a header, and compares it with the memory used.
func TestMemoryLimit(t *testing.T) {
	for _, row := range []struct {
		name string
		file []byte
	}{
		{"long tensor names", manyTensors(8_000)}, {"short tensor names", shortTensors(8_000)},
		{"tensor names of 5,000 bytes", longTensors(500)}, {"8 dimensions", eightDimensions(8_000)},
		{"keys", manyKeys(8_000)},
	} {
		t.Run(row.name, func(t *testing.T) {
			headertest.MemoryLimit(t, row.file, func(limit int64) headertest.Parse {
				return func(src io.ReaderAt, size int64) (any, error) {
					return gguf.Limits{Memory: limit}.Parse(src, size)
				}
			})
		})
	}
}

func TestMemoryLimitMessage(t *testing.T) {
	file := shortTensors(200_000)
	f, err := parse(file)
	var e *gguf.Error
	if !errors.As(err, &e) || !errors.Is(err, header.ErrMemory) {
		t.Fatalf("got %d tensors, %v", len(f.Tensors), err)
	}
	if !strings.Contains(err.Error(),
		"the header needs more than the limit of 33554432 bytes of memory: use a larger --memory") {
		t.Errorf("message is %q", err)
	}
	f, err = gguf.Limits{Memory: 64 << 20}.Parse(bytes.NewReader(file), int64(len(file)))
	if err != nil || len(f.Tensors) != 200_000 {
		t.Errorf("with a larger limit: %v", err)
	}
	f, err = parse(shortTensors(140_000))
	if err != nil || len(f.Tensors) != 140_000 {
		t.Errorf("140,000 tensors under the default limit: %v", err)
	}
}
