package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/hartonomous/ingest/ingest/codec"
)

// zstdLevels are measured beside package codec.
var zstdLevels = []int{1, 3, 9}

// codecs measures package codec on one core, in this process, with zstd beside it.
func (b *bench) codecs(ctx context.Context) error {
	payloads, err := trainedPayloads()
	if err != nil {
		return err
	}
	fmt.Printf("codec, one core, medians of %d\n", b.rounds)
	for _, p := range append(generatedPayloads(), payloads...) {
		fmt.Printf("  %s %s, %d KiB\n", p.name, p.typ, len(p.bytes)>>10)
		for _, level := range []codec.Level{codec.Auto, codec.Max} {
			if err := b.codec(p, level); err != nil {
				return err
			}
		}
		for _, level := range zstdLevels {
			if err := b.zstd(p, level); err != nil {
				return err
			}
		}
		if err := b.zstdProgram(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// codec measures Encode, Decode and the probe: Encode of noise of the same type only probes.
func (b *bench) codec(p payload, level codec.Level) error {
	e, d := codec.NewEncoder(), codec.NewDecoder()
	into, noise, back := make([]byte, len(p.bytes)), make([]byte, len(p.bytes)), make([]byte, len(p.bytes))
	rand.Read(noise)
	var encoded []byte
	encode := b.time(func() { e.Encode(into, noise, p.typ, level) }, func() {
		encoded = e.Encode(into, p.bytes, p.typ, level)
	})
	name := "planes1 " + level.String()
	if encoded == nil {
		fmt.Printf("    %-16s not encoded, after %v\n", name, encode[1])
		return nil
	}
	decode := b.time(func() {
		if err := d.Decode(back, encoded); err != nil {
			panic(err)
		}
	})
	if !bytes.Equal(back, p.bytes) {
		return fmt.Errorf("%s: %s decodes differently", name, p.typ)
	}
	b.printCodec(name, p, len(encoded), encode[1], decode[0])
	fmt.Printf("    %-16s %5.2f %% of encoding\n", "  probe", 100*encode[0].Seconds()/encode[1].Seconds())
	return nil
}

func (b *bench) zstd(p payload, level int) error {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)),
		zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	defer e.Close()
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer d.Close()
	var encoded, back []byte
	took := b.time(func() { encoded = e.EncodeAll(p.bytes, encoded[:0]) }, func() {
		if back, err = d.DecodeAll(encoded, back[:0]); err != nil {
			panic(err)
		}
	})
	b.printCodec(fmt.Sprintf("zstd %d (Go)", level), p, len(encoded), took[0], took[1])
	return nil
}

func (b *bench) printCodec(name string, p payload, size int, encode, decode time.Duration) {
	speed := func(took time.Duration) float64 { return float64(len(p.bytes)) / 1e6 / took.Seconds() }
	fmt.Printf("    %-16s ratio %5.3f   encode %5.0f MB/s   decode %5.0f MB/s\n", name,
		float64(len(p.bytes))/float64(size), speed(encode), speed(decode))
}

var zstdReport = regexp.MustCompile(`\(x?([0-9.]+)\), *([0-9.]+) MB/s, *([0-9.]+) MB/s`)

// zstdProgram prints what the program zstd reports about itself.
func (b *bench) zstdProgram(ctx context.Context, p payload) error {
	program, err := exec.LookPath("zstd")
	if err != nil {
		fmt.Println("    zstd is not on the PATH: no measurement of it")
		return nil
	}
	path := b.path("payload")
	if err := os.WriteFile(path, p.bytes, 0o666); err != nil {
		return err
	}
	for _, level := range zstdLevels {
		report, err := exec.CommandContext(ctx, program, fmt.Sprintf("-b%d", level), "-i1", path).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", program, err, report)
		}
		if figures := zstdReport.FindSubmatch(report); figures != nil {
			fmt.Printf("    %-16s ratio %5s   encode %5.5s MB/s   decode %5.5s MB/s\n",
				fmt.Sprintf("zstd %d (C)", level), figures[1], figures[2], figures[3])
		}
	}
	return os.Remove(path)
}

// time runs functions in turn, each several times in a round, and returns the median time of each.
func (b *bench) time(functions ...func()) []time.Duration {
	samples := make([][]time.Duration, len(functions))
	for round := range b.rounds + 1 {
		for i, run := range functions {
			n, begun := 0, time.Now()
			for ; n == 0 || time.Since(begun) < 50*time.Millisecond; n++ {
				run()
			}
			if round > 0 { // the first round is not counted
				samples[i] = append(samples[i], time.Since(begun)/time.Duration(n))
			}
		}
	}
	medians := make([]time.Duration, len(functions))
	for i := range samples {
		slices.Sort(samples[i])
		medians[i] = samples[i][len(samples[i])/2]
	}
	return medians
}
