package gguf_test

import (
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf/gguftest"
)

func BenchmarkParse(b *testing.B) {
	for _, row := range []struct {
		name string
		file []byte
	}{
		{"vocabulary of 262k", vocabulary(262_144)},
		{"80 layers, vocabulary of 163k", gguftest.Model(gguftest.ModelOptions{Layers: 80, Vocabulary: 163_840,
			Bytes: 64 << 20}).Bytes()},
		{"100k tensors", shortTensors(100_000)},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(row.file); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
