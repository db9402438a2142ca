package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/lease"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/storage/sqlite"
	"github.com/hartonomous/ingest/storage/storetest"
)

// roles are the commands of the child processes that the benchmark starts of itself.
var roles = map[string]func(args []string) error{"sha256": hashFile, "hash": hashModel, "discard-server": discardServer}

// hashFile is the limit: it only reads and hashes the file, on one core.
func hashFile(args []string) error {
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{file}, make([]byte, 1<<20)); err != nil {
		return err
	}
	fmt.Printf("%x\n", h.Sum(nil))
	return nil
}

// hashModel runs the whole pipeline with a store that discards payloads.
func hashModel(args []string) error {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) // as the program does
	folder, err := os.MkdirTemp("", "ingest-bench-catalog-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	ctx := context.Background()
	catalog, err := sqlite.Open(ctx, folder+"/catalog.db")
	if err != nil {
		return err
	}
	defer catalog.Close()
	found, err := format.Find(ctx, args[:1])
	if err != nil {
		return err
	}
	run := pipeline.Ingester{Catalog: catalog, Store: storetest.Discard{}, Parse: format.Parser{}.Parse}
	request := ingest.JobRequest{Pipeline: "models", Source: args[0], Paths: args[:1], Holder: ingest.ThisProcess(),
		TTL: lease.DefaultTTL}
	report, err := run.Run(ctx, request, found)
	if err != nil {
		return err
	}
	if len(report.Ingested) != 1 {
		return fmt.Errorf("%d models ingested, %v refused", len(report.Ingested), report.Refused)
	}
	return nil
}
