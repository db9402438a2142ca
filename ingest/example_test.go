package ingest_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/storage/dir"
	"github.com/hartonomous/ingest/storage/sqlite"
)

// Example ingests a file into a folder of payloads, and reads one of its tensors back.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "ingest")
	check(err)
	defer os.RemoveAll(folder)
	catalog, err := sqlite.Open(ctx, filepath.Join(folder, "catalog.db"))
	check(err)
	defer catalog.Close()
	store, err := dir.Open(filepath.Join(folder, "store"))
	check(err)
	pool := buffer.New(64 << 20)

	path, err := filepath.Abs("../scripts/sample/models/tiny.gguf")
	check(err)
	found, err := format.Find(ctx, []string{path})
	check(err)
	in := &pipeline.Ingester{Catalog: catalog, Store: store, Pool: pool, Parse: format.Parser{}.Parse}
	report, err := in.Run(ctx, ingest.JobRequest{Pipeline: "models", Source: path}, found)
	check(err)

	model, err := catalog.Model(ctx, report.Ingested[0].Model)
	check(err)
	tensor, file, err := reader.Tensor(ctx, catalog, model, "blk.0.attn_q.weight")
	check(err)
	hash := sha256.New()
	r := &reader.Reader{Catalog: catalog, Store: store, Pool: pool}
	n, err := r.Open(ctx, file).WriteRange(hash, tensor.Offset, tensor.Offset+tensor.Bytes)
	check(err)
	fmt.Printf("%s %v %s: %d bytes, SHA-256 %x\n", tensor.Name, tensor.Shape, tensor.Type, n, hash.Sum(nil)[:6])
	// Output: blk.0.attn_q.weight [256 256] Q4_K: 36864 bytes, SHA-256 5adf5d378cb4
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
