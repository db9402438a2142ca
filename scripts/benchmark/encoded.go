package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/hartonomous/ingest/ingest/codec/codectest"
	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

// capMbps is the rate of a store on which encoding saves time: 200 MB/s.
const capMbps = 1600

// encoded measures what --compress costs and saves: with weights in BF16, with a file that it cannot make
// smaller, and with a store of 200 MB/s.
func (b *bench) encoded(ctx context.Context) error {
	weights, noise := b.path("weights.gguf"), b.path("model.gguf")
	if err := makeWeights(weights, b.gib); err != nil {
		return err
	}
	if _, err := b.model(); err != nil {
		return err
	}
	address, stop, err := serveDiscard(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var all []*contender
	for _, level := range []string{"off", "auto"} {
		local := func(path string) []string { return append(b.models(path), "--compress", level) }
		empty := func() error { return b.clear("catalog", "store") }
		capped := append(b.modelsTo(weights, address), "--compress", level, "--cap-mbps", fmt.Sprint(capMbps))
		all = append(all,
			&contender{name: "BF16 to a folder, " + level, command: local(weights), prepare: empty},
			&contender{name: "noise to a folder, " + level, command: local(noise), prepare: empty},
			&contender{name: fmt.Sprintf("BF16 at %d Mbit/s, %s", capMbps, level), command: capped,
				prepare: func() error { return b.resetServer(ctx, address, false) }})
	}
	reading := &contender{name: "verify of encoded BF16", command: b.command("verify"), prepare: func() error {
		_, err := (&contender{command: b.models(weights)}).runOnce(ctx) // is skipped from the second time on
		return err
	}}
	if err := compare(ctx, b.rounds, all...); err != nil {
		return err
	}
	if err := b.clear("catalog", "store"); err != nil {
		return err
	}
	if err := compare(ctx, b.rounds, reading); err != nil {
		return err
	}
	fmt.Printf("--compress of %d GiB, medians of %d\n", b.gib, b.rounds)
	printAll(append(all, reading))
	for i, goal := range []float64{1.25, 1.03, 0.75} {
		fmt.Printf("  ratio of auto to %-37s %.2f (goal %.2f)\n", all[i].name, all[i+3].ratio(all[i]), goal)
	}
	fmt.Printf("  peak memory                                            %.0f MiB (goal 100)\n", all[3].median(peak))
	return b.clear("catalog", "store", "weights.gguf")
}

// makeWeights writes a file of weights like trained ones. They repeat every MiB, with another number in
// front, so that no payload is shared.
func makeWeights(path string, gib int64) error {
	model := gguftest.File{Tensors: []gguftest.Tensor{{Name: "weights", Type: gguf.TypeBF16,
		Shape: []uint64{1 << 19, uint64(gib) << 10}}}}
	if err := model.CreateSparse(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	block := codectest.Payload("BF16", codectest.Weights(1, 1<<19))
	for at, start := int64(0), int64(len(model.Header())); err == nil && at < gib<<30; at += int64(len(block)) {
		binary.LittleEndian.PutUint64(block, uint64(at))
		_, err = f.WriteAt(block, start+at)
	}
	return errors.Join(err, f.Close())
}
