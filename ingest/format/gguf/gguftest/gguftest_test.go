package gguftest_test

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

func small() gguftest.File {
	return gguftest.File{
		Seed: 7,
		KVs:  []gguftest.KV{{Key: "general.name", Value: "small"}},
		Tensors: []gguftest.Tensor{
			{Name: "random", Type: gguf.TypeI8, Shape: []uint64{1001}},
			{Name: "given", Type: gguf.TypeI8, Shape: []uint64{5}, Data: []byte("given")},
			{Name: "none", Type: gguf.TypeI8, Shape: []uint64{0}},
			{Name: "zero", Type: gguf.TypeI8, Shape: []uint64{70}, Zero: true, Gap: 40},
			{Name: "shared", Type: gguf.TypeF32, Shape: []uint64{9}, Seed: 5},
			{Name: "unknown", Type: 99, Shape: []uint64{9}, Bytes: 77},
		},
		Trailing: []byte("the end"),
	}
}

// TestReadAndCreate compares reads at random offsets and the file on disk with the file in memory.
func TestReadAndCreate(t *testing.T) {
	for _, unpadded := range []bool{false, true} {
		t.Run(fmt.Sprintf("unpadded %v", unpadded), func(t *testing.T) {
			file := small()
			file.Unpadded = unpadded
			want := file.Bytes()
			if int64(len(want)) != file.Size() || !bytes.HasPrefix(want, file.Header()) ||
				!bytes.HasSuffix(want, []byte("the end")) {
				t.Fatalf("%d bytes, want %d", len(want), file.Size())
			}
			r := file.ReaderAt()
			random := rand.New(rand.NewPCG(1, 2))
			for range 5000 {
				at, n := random.IntN(len(want)), random.IntN(300)
				got := make([]byte, n)
				n, err := r.ReadAt(got, int64(at))
				if short := at+len(got) > len(want); short != errors.Is(err, io.EOF) || !short && n != len(got) {
					t.Fatalf("%d bytes at %d of %d: %d, %v", len(got), at, len(want), n, err)
				}
				if !bytes.Equal(got[:n], want[at:at+n]) {
					t.Fatalf("%d bytes at %d differ", n, at)
				}
			}
			path := filepath.Join(t.TempDir(), "small.gguf")
			if err := file.Create(path); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
				t.Errorf("on disk the file differs: %v", err)
			}
		})
	}
}

// TestBytes pins the bytes, because other tests and samples contain digests of them.
func TestBytes(t *testing.T) {
	got := fmt.Sprintf("%x", sha256.Sum256(small().Bytes()))
	if want := "fb6e6927f1bc5913d8c518784bb5901398dd5e3e4f880196caaa248679b6ccd7"; got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

func TestData(t *testing.T) {
	file := small()
	parsed, err := gguf.Parse(bytes.NewReader(file.Bytes()), file.Size())
	if err != nil {
		t.Fatal(err)
	}
	data := func(file gguftest.File, i int) []byte {
		t := parsed.Tensors[i]
		return file.Bytes()[t.Offset:][:file.Tensors[i].Size()]
	}
	other := small()
	other.Seed = 8
	if bytes.Equal(data(file, 0), data(other, 0)) {
		t.Error("another seed gives the same data")
	}
	if !bytes.Equal(data(file, 4), data(other, 4)) {
		t.Error("a tensor with its own seed depends on the file's")
	}
	if string(data(file, 1)) != "given" || len(bytes.Trim(data(file, 3), "\x00")) != 0 {
		t.Errorf("given %q, zero %x", data(file, 1), data(file, 3))
	}
	if len(bytes.Trim(data(file, 5), "\x00")) == 0 {
		t.Error("a tensor of unknown type is zero")
	}
}

func TestOrder(t *testing.T) {
	file := small()
	file.Order = []int{5, 1, 0, 2, 4, 3}
	whole := file.Bytes()
	parsed, err := gguf.Parse(bytes.NewReader(whole), file.Size())
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(file.Order); i++ {
		before, tensor := parsed.Tensors[file.Order[i-1]], parsed.Tensors[file.Order[i]]
		if tensor.Offset < before.Offset {
			t.Errorf("%s at %d is before %s at %d", tensor.Name, tensor.Offset, before.Name, before.Offset)
		}
	}
	if at := parsed.Tensors[1].Offset; string(whole[at:at+5]) != "given" {
		t.Errorf("data of a tensor is %q", whole[at:at+5])
	}
}

func TestFill(t *testing.T) {
	whole := make([]byte, 1<<16)
	gguftest.Fill(whole, 3, 0)
	for at := range 40 {
		for n := range 40 {
			part := make([]byte, n)
			if gguftest.Fill(part, 3, int64(at)); !bytes.Equal(part, whole[at:at+n]) {
				t.Fatalf("%d bytes at %d differ", n, at)
			}
		}
	}
	var compressed bytes.Buffer
	w, _ := flate.NewWriter(&compressed, flate.BestCompression)
	w.Write(whole)
	w.Close()
	if compressed.Len() < len(whole) {
		t.Errorf("%d bytes compress to %d", len(whole), compressed.Len())
	}
}

func TestModel(t *testing.T) {
	for _, o := range []gguftest.ModelOptions{
		{}, {Bytes: 8 << 20, Layers: 2}, {Bytes: 4 << 30, Layers: 32, Vocabulary: 32_000},
		{Bytes: 70 << 30, Layers: 80},
	} {
		t.Run(fmt.Sprint(o.Bytes), func(t *testing.T) {
			r := gguftest.Model(o).ReaderAt()
			f, err := gguf.Parse(r, r.Size())
			if err != nil {
				t.Fatal(err)
			}
			want, layers := o.Bytes, o.Layers
			if want == 0 {
				want, layers = 64<<20, 4
			}
			if r.Size() < want/100*99 || r.Size() > want/100*101 || len(f.Tensors) != 3+9*layers {
				t.Errorf("%d bytes, %d tensors; want %d, %d", r.Size(), len(f.Tensors), want, 3+9*layers)
			}
			if n, _ := f.Uint("llama.block_count"); n != uint64(layers) || f.Tensors[2].Name != "blk.0.attn_q.weight" {
				t.Errorf("%d blocks, third tensor %s", n, f.Tensors[2].Name)
			}
		})
	}
}

func TestCreateSparse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sparse.gguf")
	file := small()
	if err := file.CreateSparse(path); err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil || info.Size() != file.Size() {
		t.Fatalf("%d bytes, %v", info.Size(), err)
	}
	if _, err := gguf.Parse(src, info.Size()); err != nil {
		t.Error(err)
	}
}

func BenchmarkFill(b *testing.B) {
	p := make([]byte, 1<<20)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		gguftest.Fill(p, 1, 0)
	}
}
