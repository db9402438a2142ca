package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/codec/codectest"
	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

// smallModel returns a model of four tensors. The embedding takes about the given bytes. Models
// with the same base share all tensors except the output. SQLite keeps the header in the catalogue,
// and no tensor of at least 33 KiB.
func smallModel(name string, bytes int64, base, seed uint64) gguftest.File {
	const width = 256
	row := int64(width * 4)
	return gguftest.File{
		KVs: []gguftest.KV{
			{Key: "general.architecture", Value: "llama"},
			{Key: "general.name", Value: name},
			{Key: "llama.context_length", Value: uint32(512)},
			{Key: "llama.embedding_length", Value: uint32(width)},
			{Key: "tokenizer.ggml.tokens", Value: []string{"<s>", "</s>", "hello"}},
		},
		Tensors: []gguftest.Tensor{
			{Name: "token_embd.weight", Type: gguf.TypeF32, Shape: []uint64{width, uint64(max(1, bytes/row))},
				Seed: 4*base + 1},
			{Name: "blk.0.attn_q.weight", Type: gguf.TypeQ4K, Shape: []uint64{width, width}, Seed: 4*base + 2},
			{Name: "blk.0.ffn_up.weight", Type: gguf.TypeQ8_0, Shape: []uint64{width, width}, Seed: 4*base + 3},
			{Name: "output.weight", Type: gguf.TypeQ6K, Shape: []uint64{width, width}, Seed: 4*seed + 4},
		},
	}
}

// cmdGGUF writes a model: gguf FILE [name=test] [bytes=100000] [base=1] [seed=1] [norms=0] [cut=0]
// [weights=0]. A value in double quotes may contain Go escapes. norms is the number of tensors of 1 KiB
// in addition. cut drops bytes from the end. With weights=1, the embedding is encoded.
func cmdGGUF(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: gguf FILE [name=N] [bytes=N] [base=N] [seed=N] [norms=N] [cut=N] [weights=1]")
	}
	name, number := "test", map[string]int64{"bytes": 100_000, "base": 1, "seed": 1, "norms": 0, "cut": 0,
		"weights": 0}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		if key == "name" {
			name = unquoted(ts, value)
			continue
		}
		n, err := strconv.ParseInt(value, 0, 64)
		ts.Check(err)
		number[key] = n
	}
	f := smallModel(name, number["bytes"], uint64(number["base"]), uint64(number["seed"]))
	if number["weights"] > 0 {
		embedding := &f.Tensors[0]
		embedding.Data = codectest.Payload("F32", codectest.Weights(uint64(number["base"]), int(embedding.Size()/4)))
	}
	for i := range uint64(number["norms"]) {
		f.Tensors = append(f.Tensors, gguftest.Tensor{Name: fmt.Sprintf("blk.%d.attn_norm.weight", i),
			Type: gguf.TypeF32, Shape: []uint64{256}, Seed: 1000*uint64(number["base"]) + i})
	}
	text := f.Bytes()
	ts.Check(os.WriteFile(ts.MkAbs(unquoted(ts, args[0])), text[:len(text)-int(number["cut"])], 0o666))
}

func unquoted(ts *testscript.TestScript, text string) string {
	if !strings.HasPrefix(text, `"`) {
		return text
	}
	plain, err := strconv.Unquote(text)
	ts.Check(err)
	return plain
}

// cmdSplit writes a model in several files: split PREFIX PARTS.
func cmdSplit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: split PREFIX PARTS")
	}
	parts, err := strconv.Atoi(args[1])
	ts.Check(err)
	for i := range parts {
		whole := smallModel("", 50_000, uint64(i+1), uint64(i+1))
		f := gguftest.File{Tensors: whole.Tensors, KVs: []gguftest.KV{
			{Key: "split.no", Value: uint16(i)}, {Key: "split.count", Value: uint16(parts)},
			{Key: "split.tensors.count", Value: int32(4 * parts)}}}
		if i == 0 {
			f.KVs = append(f.KVs, gguftest.KV{Key: "general.architecture", Value: "llama"},
				gguftest.KV{Key: "general.name", Value: "in parts"})
		}
		for j := range f.Tensors {
			f.Tensors[j].Name = fmt.Sprintf("part.%d.%s", i, f.Tensors[j].Name)
		}
		ts.Check(f.Create(ts.MkAbs(fmt.Sprintf("%s-%05d-of-%05d.gguf", args[0], i+1, parts))))
	}
}

// cmdOllama adds a model to an Ollama models folder: ollama FOLDER NAME:TAG ROLE=FILE... It sets
// the variable ROLE to the file's digest.
func cmdOllama(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: ollama FOLDER NAME:TAG ROLE=FILE...")
	}
	type layer struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int    `json:"size"`
	}
	folder := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Join(folder, "blobs"), 0o777))
	put := func(role string, content []byte) layer {
		digest := ingest.Sum(content).String()
		path := filepath.Join(folder, "blobs", "sha256-"+digest)
		if _, err := os.Stat(path); err != nil { // an existing blob keeps its time
			ts.Check(os.WriteFile(path, content, 0o666))
		}
		return layer{"application/vnd.ollama.image." + role, "sha256:" + digest, len(content)}
	}
	config := put("config", []byte(`{"model_format":"gguf"}`))
	config.MediaType = "application/vnd.docker.container.image.v1+json"
	manifest := map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
		"config": config}
	var layers []layer
	for _, arg := range args[2:] {
		role, file, _ := strings.Cut(arg, "=")
		layers = append(layers, put(role, []byte(ts.ReadFile(file))))
		ts.Setenv(role, strings.TrimPrefix(layers[len(layers)-1].Digest, "sha256:"))
	}
	manifest["layers"] = layers
	text, err := json.Marshal(manifest)
	ts.Check(err)
	name, tag, _ := strings.Cut(args[1], ":")
	path := filepath.Join(folder, "manifests", "registry.ollama.ai", "library", name, tag)
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o777))
	ts.Check(os.WriteFile(path, text, 0o666))
}

// cmdAppend adds text to the end of a file: append FILE TEXT.
func cmdAppend(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: append FILE TEXT")
	}
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = f.WriteString(args[1])
	ts.Check(err)
	ts.Check(f.Close())
}

// cmdRegister inserts a row of Atoms with the path of a file, as another program does. ContentHash
// is the hash of the file, or with hash= that of the path, or zero.
func cmdRegister(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: register FILE [hash=path|zero] [path=P] [metadata=JSON] [modality=M]")
	}
	row := map[string]string{"path": ts.MkAbs(args[0]), "modality": "model"}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		row[key] = value
	}
	var hash ingest.Digest
	switch row["hash"] {
	case "path":
		hash = pathHash(row["path"])
	case "zero":
	default:
		hash = ingest.Sum([]byte(ts.ReadFile(args[0])))
	}
	db, err := sql.Open("sqlite", strings.TrimPrefix(ts.Getenv("INGEST_CATALOG"), "sqlite:"))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(`INSERT INTO Atoms (ContentHash, Modality, SourceType, PayloadLocator, Metadata)
		VALUES (?, ?, 'ollama_blob', ?, nullif(?, ''))`,
		hash[:], row["modality"], row["path"], row["metadata"])
	ts.Check(err)
}
