// Command benchmark measures ingest against its limit and against the commands that a user would
// type instead, and prints ratios. scripts/bench runs it.
//
// Each figure is of a whole process, as the operating system accounts for it. The commands run in
// turn, so that a slow minute of the machine affects all of them. Figures are medians.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) > 1 {
		if role, ok := roles[os.Args[1]]; ok {
			finish(role(os.Args[2:]))
		}
	}
	var b bench
	flag.StringVar(&b.ingest, "ingest", "", "the binary to measure")
	flag.StringVar(&b.folder, "folder", "", "folder for files of some GiB (default a temporary folder)")
	flag.Int64Var(&b.gib, "gib", 2, "size of the model, GiB")
	flag.Int64Var(&b.large, "large", 5, "size of the model that memory is measured with, GiB; 0 skips it")
	flag.IntVar(&b.rounds, "rounds", 5, "runs of each command")
	flag.BoolVar(&b.blobs, "blobs", true, "measure uploads to a server that discards, and to Azurite in memory")
	flag.BoolVar(&b.migrate, "migrate", true, "measure moving payloads from rows to a store")
	flag.BoolVar(&b.file, "file", true, "measure a large file in a folder")
	flag.BoolVar(&b.many, "small", true, "measure many small files, tensors and models")
	flag.BoolVar(&b.encode, "codec", true, "measure the codec of payloads, and --compress")
	flag.IntVar(&b.rows, "rows", 1_000_000, "rows to record in the catalogue; 0 skips it; 5000000 for the goals")
	flag.Parse()
	finish(b.run(context.Background()))
}

func finish(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// bench is one run of the program.
type bench struct {
	ingest, folder string
	gib, large     int64
	rounds, rows   int
	file, many     bool
	encode         bool
	blobs, migrate bool
}

func (b *bench) run(ctx context.Context) error {
	folder, err := os.MkdirTemp(b.folder, "ingest-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	b.folder = folder
	for _, step := range []struct {
		chosen bool
		run    func(context.Context) error
	}{{b.encode, b.encoded}, {b.file, b.local}, {b.large > 0, b.memory}, {b.many, b.small}, {b.blobs, b.upload},
		{b.blobs, b.uploadToAzurite}, {b.migrate, b.migration}, {b.encode, b.codecs}, {b.rows > 0, b.catalog}} {
		if !step.chosen {
			continue
		}
		if err := step.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) path(name string) string { return filepath.Join(b.folder, name) }
