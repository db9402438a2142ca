package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

// smallBytes is the size of the small files.
const smallBytes = 20_000

// small measures many small things: files, tensors, models to list.
func (b *bench) small(ctx context.Context) error {
	fmt.Printf("many small things, medians of %d\n", b.rounds)
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return b.smallFiles(ctx, 1000) },
		func(ctx context.Context) error { return b.smallFiles(ctx, 5000) },
		b.commands, b.smallTensors, b.rowStore,
	} {
		if err := step(ctx); err != nil {
			return err
		}
		if err := b.clear("catalog", "store", "small", "repository", "copy", "one"); err != nil {
			return err
		}
	}
	return nil
}

// smallFiles measures a folder of n small files: new, unchanged, and verified.
func (b *bench) smallFiles(ctx context.Context, n int) error {
	folder := b.path("small")
	if err := makeFiles(folder, n); err != nil {
		return err
	}
	models := append(b.models(folder), "--opaque-files") // random bytes are not models
	ours := &contender{name: fmt.Sprintf("ingest models, %d new files of 20 KB", n), command: models,
		prepare: func() error { return b.clear("catalog", "store") }}
	again := &contender{name: "ingest models, unchanged files", command: models}
	verify := &contender{name: "ingest verify", command: b.command("verify")}
	copied := &contender{name: "cp -r, sync", prepare: func() error { return b.clear("copy") },
		command: []string{"sh", "-c", `cp -r "$1" "$2" && sync -f "$2"`, "sh", folder, b.path("copy")}}
	restic := &contender{name: "restic backup", prepare: func() error { return b.newRepository(ctx) },
		command: b.restic("backup", folder)}
	contenders := []*contender{ours, again, verify, copied}
	if _, err := exec.LookPath("restic"); err == nil {
		contenders = append(contenders, restic)
	} else {
		fmt.Println("  restic is not on the PATH: no comparison with it")
	}
	if err := compare(ctx, b.rounds, contenders...); err != nil {
		return err
	}
	printAll(contenders)
	if len(restic.samples) > 0 {
		fmt.Printf("  %-54s %.2f (goal 1.50)\n", "ratio to restic", ours.ratio(restic))
	}
	fmt.Printf("  %-54s %.2f ms (goal 0.30)\n", "an unchanged file", 1000*again.median(wall)/float64(n))
	if n == 1000 {
		fmt.Printf("  %-54s %.2f s (goal 1.00)\n", "verify of 1,000 files", verify.median(wall))
	}
	if err := b.clear("catalog", "store"); err != nil {
		return err
	}
	return countSyncs(ctx, models, n)
}

// makeFiles makes n files of random bytes.
func makeFiles(folder string, n int) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	random := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	content := make([]byte, smallBytes)
	for i := range n {
		if _, err := random.Read(content); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%05d.bin", i)), content, 0o600); err != nil {
			return err
		}
	}
	return exec.Command("sync", "-f", folder).Run()
}

func (b *bench) restic(words ...string) []string {
	return append([]string{"env", "RESTIC_PASSWORD=benchmark", "restic", "--quiet", "--no-cache", "-r",
		b.path("repository")}, words...)
}

func (b *bench) newRepository(ctx context.Context) error {
	if err := b.clear("repository"); err != nil {
		return err
	}
	_, err := (&contender{command: b.restic("init")}).runOnce(ctx)
	return err
}

// countSyncs prints how many syncs a command makes for each of n files, if strace is on the PATH.
func countSyncs(ctx context.Context, command []string, n int) error {
	counted := append([]string{"-f", "-e", "trace=fsync,fdatasync,syncfs,sync_file_range"}, command...)
	var log bytes.Buffer
	strace := exec.CommandContext(ctx, "strace", counted...)
	strace.Stderr = &log
	if err := strace.Run(); errors.Is(err, exec.ErrNotFound) {
		fmt.Println("  strace is not on the PATH: syncs are not counted")
		return nil
	} else if err != nil {
		return fmt.Errorf("strace: %w", err)
	}
	syncs := 0
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "sync(") && !strings.Contains(line, "resumed") {
			syncs++
		}
	}
	fmt.Printf("  %-54s %.3f (goal 0.100)\n", "syncs for each file", float64(syncs)/float64(n))
	return nil
}

// commands measures commands that read the catalogue of 5,000 models, and the start of the program.
func (b *bench) commands(ctx context.Context) error {
	const models = 5000
	folder := b.path("small")
	if err := makeFiles(folder, models); err != nil {
		return err
	}
	if _, err := (&contender{command: b.models(folder)}).runOnce(ctx); err != nil {
		return err
	}
	many := b.path("many.gguf")
	if err := (gguftest.File{Tensors: tensors(55_000, 8)}).Create(many); err != nil {
		return err
	}
	one := []string{"--quiet", "--catalog", "sqlite:" + b.path("one/catalog.db")}
	if err := makeFiles(b.path("one file"), 1); err != nil {
		return err
	}
	first := &contender{command: append([]string{b.ingest, "models", b.path("one file")}, one...)}
	if _, err := first.runOnce(ctx); err != nil {
		return err
	}
	help := &contender{name: "ingest --help", command: []string{b.ingest, "--help"}}
	single := &contender{name: "ingest list, one model", command: append([]string{b.ingest, "list"}, one...)}
	list := &contender{name: "ingest list, 5,000 models", command: b.command("list")}
	show := &contender{name: "ingest show NAME, 5,000 models", command: b.command("show", "02500.bin")}
	gc := &contender{name: "ingest gc, 5,000 models", command: b.command("gc")}
	inspect := &contender{name: "ingest inspect, 55,000 tensors", command: []string{b.ingest, "inspect", many}}
	contenders := []*contender{help, single, list, show, gc, inspect}
	if err := compare(ctx, b.rounds, contenders...); err != nil {
		return err
	}
	printAll(contenders)
	fmt.Printf("  %-54s %.0f ms (goal 25)\n", "start", 1000*max(help.median(wall), single.median(wall)))
	for _, c := range []*contender{list, show, gc} {
		fmt.Printf("  %-54s %.1f microseconds (goal 20)\n", c.name+", for each",
			1e6*max(0, c.median(wall)-single.median(wall))/models)
	}
	fmt.Printf("  %-54s %.2f s (goal 0.30)\n", inspect.name, inspect.median(wall))
	return b.clear("many.gguf", "one file")
}

// tensors returns n tensors of elements 32-bit numbers.
func tensors(n int, elements uint64) []gguftest.Tensor {
	list := make([]gguftest.Tensor, n)
	for i := range list {
		list[i] = gguftest.Tensor{Name: fmt.Sprintf("blk.%d.weight", i), Shape: []uint64{elements}}
	}
	return list
}

// smallTensors measures a file of 20,000 tensors of 4 KiB.
func (b *bench) smallTensors(ctx context.Context) error {
	model := b.path("tensors.gguf")
	if err := (gguftest.File{Tensors: tensors(20_000, 1024)}).Create(model); err != nil {
		return err
	}
	ours := &contender{name: "ingest models, 20,000 tensors of 4 KiB", command: b.models(model),
		prepare: func() error { return b.clear("catalog", "store") }}
	verify := &contender{name: "ingest verify", command: b.command("verify")}
	copied := &contender{name: "cp, sync", prepare: func() error { return b.clear("copy") },
		command: []string{"sh", "-c", `cp "$1" "$2" && sync "$2"`, "sh", model, b.path("copy")}}
	contenders := []*contender{ours, verify, copied}
	if err := compare(ctx, b.rounds, contenders...); err != nil {
		return err
	}
	printAll(contenders)
	fmt.Printf("  %-54s %.1f (goal 7.5), %.2f s (goal 1.50)\n", "ratio to cp and sync", ours.ratio(copied),
		ours.median(wall))
	return b.clear("tensors.gguf")
}

// rowStore compares payloads in rows of SQLite with a folder, and verify with SHA-256.
func (b *bench) rowStore(ctx context.Context) error {
	model, err := b.model()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fresh := func() error { return b.clear("catalog", "store") }
	rows := &contender{name: "ingest models --store row", prepare: fresh, command: []string{b.ingest, "models", model,
		"--quiet", "--catalog", "sqlite:" + b.path("catalog/catalog.db"), "--store", "row"}}
	dir := &contender{name: "ingest models to a folder", prepare: fresh, command: b.models(model)}
	verify := &contender{name: "ingest verify, cached", command: b.command("verify")}
	verify.prepare = func() error { // direct writes leave nothing in the cache
		_, err := (&contender{command: verify.command}).runOnce(ctx)
		return err
	}
	limit := &contender{name: "SHA-256 of the file, one core: the limit", command: []string{self, "sha256", model}}
	contenders := []*contender{rows, dir, verify, limit}
	if err := compare(ctx, b.rounds, contenders...); err != nil {
		return err
	}
	fmt.Printf("a GGUF file of %d GiB, medians of %d\n", b.gib, b.rounds)
	printAll(contenders)
	fmt.Printf("  %-54s %.2f (goal 2.20)\n", "rows, ratio to a folder", rows.ratio(dir))
	fmt.Printf("  %-54s %.2f (goal 1.35)\n", "verify, ratio to the limit", verify.ratio(limit))
	return nil
}
