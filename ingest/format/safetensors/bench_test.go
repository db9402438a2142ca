package safetensors_test

import "testing"

func BenchmarkParse(b *testing.B) {
	for _, row := range []struct {
		name string
		file []byte
	}{
		{"1,000 tensors", manyTensors(1_000, "model.layers.0000.self_attn.q_proj.%05d", "[4096,0]")},
		{"100,000 tensors", manyTensors(100_000, "model.layers.0000.self_attn.q_proj.%05d", "[4096,0]")},
		{"metadata", manyKeys(8_000)},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(row.file)))
			for b.Loop() {
				if _, err := parse(row.file); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
