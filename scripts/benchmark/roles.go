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

// roles are what the program is when it is started as a child of its own.
var roles = map[string]func(args []string) error{"sha256": hashFile, "hash": hashModel, "discard-server": discardServer}

// hashFile is the limit: nothing but reading the file and hashing it, on one core.
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

// hashModel runs the whole pipeline with a store that keeps nothing.
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
	claim := ingest.JobRequest{Pipeline: "models", Source: args[0], Paths: args[:1], Holder: ingest.ThisProcess(),
		TTL: lease.DefaultTTL}
	report, err := run.Run(ctx, claim, found)
	if err != nil {
		return err
	}
	if len(report.Ingested) != 1 {
		return fmt.Errorf("%d models taken in, %v refused", len(report.Ingested), report.Refused)
	}
	return nil
}
