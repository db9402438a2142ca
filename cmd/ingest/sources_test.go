package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/codec/codectest"
	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

// sources is a folder of models with their true digests.
type sources struct {
	folder  string
	digests map[string]ingest.Digest // by path
	bytes   int64
}

// newSources writes models and computes their digests.
func newSources(t testing.TB, models map[string]func(path string) error) sources {
	t.Helper()
	s := sources{folder: t.TempDir(), digests: map[string]ingest.Digest{}}
	for name, write := range models {
		path := filepath.Join(s.folder, name)
		if err := write(path); err != nil {
			t.Fatal(err)
		}
		digest, n, err := digestOf(path)
		if err != nil {
			t.Fatal(err)
		}
		s.digests[path] = digest
		s.bytes += n
	}
	return s
}

func (s sources) path(name string) string { return filepath.Join(s.folder, name) }

// exported checks a file that export wrote.
func (b box) exported(path string, want ingest.Digest) {
	b.Helper()
	if got, _, err := digestOf(path); err != nil || got != want {
		b.Errorf("%s: exported with SHA-256 %s, want %s (%v)", path, got, want, err)
	}
}

func digestOf(path string) (ingest.Digest, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return ingest.Digest{}, 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.CopyBuffer(h, f, make([]byte, 1<<20))
	return ingest.Digest(h.Sum(nil)), n, err
}

// noise writes a model of data that does not compress.
func noise(name string, bytes int64, seed uint64) func(string) error {
	return filled(gguftest.Model(gguftest.ModelOptions{Name: name, Bytes: bytes, Seed: seed}), seed, func() []byte {
		block := make([]byte, blockBytes)
		gguftest.Fill(block, seed, 0)
		return block
	})
}

// encodable writes a model of weights that are encoded.
func encodable(name string, bytes int64, seed uint64) func(string) error {
	f := smallModel(name, bytes, seed, seed)
	f.Tensors = f.Tensors[:1]
	return filled(f, seed, func() []byte { return codectest.Payload("F32", codectest.Weights(seed, blockBytes/4)) })
}

// filled writes a model whose data is a block, repeated, each time with another number in front.
func filled(model gguftest.File, seed uint64, content func() []byte) func(string) error {
	return func(path string) error {
		if err := model.CreateSparse(path); err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		block := content()
		at, size := int64(len(model.Header())), model.Size()
		for ; err == nil && at < size; at += blockBytes {
			binary.LittleEndian.PutUint64(block, uint64(at)^seed)
			_, err = f.WriteAt(block[:min(blockBytes, size-at)], at)
		}
		return errors.Join(err, f.Close())
	}
}

// blockBytes of noise are computed once and repeated, each time with another number in front.
// Computing all of it would take minutes under the race detector.
const blockBytes = 1 << 20

// repeated returns noise in which all segments differ.
func repeated(bytes int64, seed uint64) []byte {
	block := make([]byte, blockBytes)
	gguftest.Fill(block, seed, 0)
	return repeat(block, bytes, seed)
}

// repeat repeats a block, each time with another number in front.
func repeat(block []byte, bytes int64, seed uint64) []byte {
	var all []byte
	for at := int64(0); at < bytes; at += blockBytes {
		binary.LittleEndian.PutUint64(block, uint64(at)^seed)
		all = append(all, block[:min(blockBytes, bytes-at)]...)
	}
	return all
}

// zeros writes a model of zeros as a sparse file, which takes no room on the disk.
func zeros(name string, bytes int64) func(string) error {
	return gguftest.Model(gguftest.ModelOptions{Name: name, Bytes: bytes}).CreateSparse
}

// tuned writes a model that shares all tensors except the last with others of the same base. The
// payloads of the first are encoded.
func tuned(name string, bytes int64, base, seed uint64) func(string) error {
	f := smallModel(name, bytes, base, seed)
	block := codectest.Payload("F32", codectest.Weights(base, blockBytes/4))
	f.Tensors[0].Data = repeat(block, f.Tensors[0].Size(), base)
	return f.Create
}

// manyTensors writes a model of many tensors. More than 1,000 do not fit in a batch. Those of 36 KiB
// are put into the store, half of them encoded, and those of 256 bytes stay in a SQLite catalogue. The
// payloads repeat.
func manyTensors(tensors int) func(string) error {
	f := gguftest.File{KVs: []gguftest.KV{{Key: "general.name", Value: "small"}}}
	for i := range tensors {
		floats := uint64(64)
		if i%5 == 0 {
			floats = 9 << 10
		}
		tensor := gguftest.Tensor{Name: fmt.Sprintf("tensor.%d", i), Type: gguf.TypeF32, Shape: []uint64{floats},
			Seed: uint64(1000 + i%250)}
		if i%10 == 0 {
			tensor.Data = codectest.Payload("F32", codectest.Weights(tensor.Seed, int(floats)))
		}
		f.Tensors = append(f.Tensors, tensor)
	}
	return f.Create
}

// blob writes a file of unknown format.
func blob(bytes int64, seed uint64) func(string) error {
	return func(path string) error { return os.WriteFile(path, repeated(bytes, seed), 0o666) }
}
