package main

import (
	"context"
	"fmt"
	"os"

	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

// local measures durable runs into a local folder and a SQLite catalogue.
func (b *bench) local(ctx context.Context) error {
	model, copied := b.path("model.gguf"), b.path("copy.gguf")
	if err := b.makeModel(model, b.gib); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	empty := func() error { return b.clear("catalog", "store") }
	limit := &contender{name: "SHA-256 of the file, one core: the limit", command: []string{self, "sha256", model}}
	removeCopy := func() error { return b.clear("copy.gguf") }
	typed := &contender{name: "cp, sync, openssl dgst -sha256", prepare: removeCopy,
		command: []string{"sh", "-c", `cp "$1" "$2" && sync "$2" && openssl dgst -sha256 "$2"`, "sh", model, copied}}
	ours := &contender{name: "ingest models, durable", prepare: empty, command: b.models(model)}
	hashing := &contender{name: "the same pipeline without a store", command: []string{self, "hash", model}}
	again := &contender{name: "ingest models, content present", prepare: b.keepStore(ctx, model),
		command: b.models(model)}
	disk := &contender{name: "dd, direct writes and sync: the disk", prepare: removeCopy,
		command: []string{"dd", "if=" + model, "of=" + copied, "bs=8M", "oflag=direct", "conv=fsync", "status=none"}}
	contenders := []*contender{limit, typed, ours, hashing, again}
	if _, err := disk.runOnce(ctx); err == nil {
		contenders = append(contenders, disk)
	} else {
		fmt.Println("dd cannot write directly here: no measurement of the disk")
	}
	if err := compare(ctx, b.rounds, contenders...); err != nil {
		return err
	}
	fmt.Printf("a GGUF file of %d GiB, medians of %d\n", b.gib, b.rounds)
	printAll(contenders)
	fmt.Printf("  ratio to the limit                                     %.2f (goal 1.60)\n", ours.ratio(limit))
	if len(disk.samples) > 0 {
		fmt.Printf("  ratio to the disk                                      %.2f\n", ours.ratio(disk))
	}
	fmt.Printf("  ratio to cp, sync, openssl                             %.2f (goal 0.75)\n", ours.ratio(typed))
	fmt.Printf("  hashing without a store, to the limit                  %.2f (goal 1.20)\n", hashing.ratio(limit))
	fmt.Printf("  content present, to the limit                          %.2f (goal 1.20)\n", again.ratio(limit))
	return os.Remove(copied)
}

// memory measures the peak memory for a larger file.
func (b *bench) memory(ctx context.Context) error {
	large := b.path("large.gguf")
	if err := b.makeModel(large, b.large); err != nil {
		return err
	}
	c := &contender{name: fmt.Sprintf("ingest models, %d GiB", b.large),
		prepare: func() error { return b.clear("catalog", "store") }, command: b.models(large)}
	s, err := c.runOnce(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("  %s: peak %.0f MiB (goal 100, and the same as for %d GiB)\n", c.name, peak(s), b.gib)
	return b.clear("catalog", "store", "large.gguf")
}

func (b *bench) makeModel(path string, gib int64) error {
	file := gguftest.Model(gguftest.ModelOptions{Bytes: gib << 30, Layers: 32, Vocabulary: 32_000, Seed: uint64(gib)})
	return file.Create(path)
}

// command is a command of ingest in the benchmark's catalogue and store.
func (b *bench) command(words ...string) []string {
	return append(append([]string{b.ingest}, words...), "--quiet", "--catalog", "sqlite:"+b.path("catalog/catalog.db"),
		"--store", "dir:"+b.path("store"))
}

func (b *bench) models(path string) []string {
	return b.command("models", path)
}

// keepStore prepares a round in which all content is in the store and the catalogue is empty.
func (b *bench) keepStore(ctx context.Context, model string) func() error {
	return func() error {
		if _, err := os.Stat(b.path("store")); err != nil {
			if _, err := (&contender{command: b.models(model)}).runOnce(ctx); err != nil {
				return err
			}
		}
		return b.clear("catalog", "store/owner") // the next catalogue is another one
	}
}

func (b *bench) clear(names ...string) error {
	for _, name := range names {
		if err := os.RemoveAll(b.path(name)); err != nil {
			return err
		}
	}
	return nil
}
