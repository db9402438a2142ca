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
	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

// sources is a folder of models, and what they really are.
type sources struct {
	folder string
	truth  map[string]ingest.Digest // by path
	bytes  int64
}

// newSources writes models and finds out their digests.
func newSources(t testing.TB, models map[string]func(path string) error) sources {
	t.Helper()
	s := sources{folder: t.TempDir(), truth: map[string]ingest.Digest{}}
	for name, write := range models {
		path := filepath.Join(s.folder, name)
		if err := write(path); err != nil {
			t.Fatal(err)
		}
		digest, n, err := digestOf(path)
		if err != nil {
			t.Fatal(err)
		}
		s.truth[path] = digest
		s.bytes += n
	}
	return s
}

func (s sources) path(name string) string { return filepath.Join(s.folder, name) }

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

// noise is a model of data that does not compress.
func noise(name string, bytes int64, seed uint64) func(string) error {
	return func(path string) error {
		model := gguftest.Model(gguftest.ModelOptions{Name: name, Bytes: bytes, Seed: seed})
		if err := model.CreateSparse(path); err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		block := make([]byte, blockBytes)
		gguftest.Fill(block, seed, 0)
		at, size := int64(len(model.Header())), model.Size()
		for ; err == nil && at < size; at += blockBytes {
			binary.LittleEndian.PutUint64(block, uint64(at)^seed)
			_, err = f.WriteAt(block[:min(blockBytes, size-at)], at)
		}
		return errors.Join(err, f.Close())
	}
}

// blockBytes of noise are made once and repeated, each time with another number in front: under
// the race detector making all of it would take minutes.
const blockBytes = 1 << 20

// repeated returns noise that no two segments have in common.
func repeated(bytes int64, seed uint64) []byte {
	block := make([]byte, blockBytes)
	gguftest.Fill(block, seed, 0)
	var all []byte
	for at := int64(0); at < bytes; at += blockBytes {
		binary.LittleEndian.PutUint64(block, uint64(at)^seed)
		all = append(all, block[:min(blockBytes, bytes-at)]...)
	}
	return all
}

// hollow is a model whose tensors are zeros and take no room on the disk.
func hollow(name string, bytes int64) func(string) error {
	return gguftest.Model(gguftest.ModelOptions{Name: name, Bytes: bytes}).CreateSparse
}

// tuned is a model that shares all of its tensors but the last with others of the same base.
func tuned(name string, bytes int64, base, seed uint64) func(string) error {
	f := smallModel(name, bytes, base, seed)
	f.Tensors[0].Data = repeated(f.Tensors[0].Size(), base)
	return f.Create
}

// crumbs is a model of very many small tensors: more than a batch has rows.
func crumbs(tensors int) func(string) error {
	f := gguftest.File{KVs: []gguftest.KV{{Key: "general.name", Value: "crumbs"}}}
	for i := range tensors {
		f.Tensors = append(f.Tensors, gguftest.Tensor{Name: fmt.Sprintf("crumb.%d", i), Type: gguf.TypeF32,
			Shape: []uint64{64}, Seed: uint64(1000 + i%50)})
	}
	return f.Create
}

// blob is a file of no known format.
func blob(bytes int64, seed uint64) func(string) error {
	return func(path string) error { return os.WriteFile(path, repeated(bytes, seed), 0o666) }
}
