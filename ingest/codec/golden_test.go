package codec_test

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/codec/codectest"
)

var update = flag.Bool("update", false, "write golden files that do not exist")

// golden is a payload that some version of Encode wrote. Every later version must read it.
type golden struct {
	name, typ string
	size      int
	sha256    string // of the original
	original  func(typ string, size int) []byte
}

var goldens = []golden{
	{"bf16", "BF16", 4099, "16f8c79885040a212dc3cb428467755e7723ed115a7e84f8c035b04065470d77", generated},
	{"f16", "F16", 4096, "53ca26f728573851bed9dbc3da9686ccbab5b3b1c2e67d8d21c4ac4f7423857f", generated},
	{"f32", "F32", 4098, "32c16d665febaf6352ab69d6dbce5c8bc358485b7cf3a1cf17bd3d11fc41bf2c", generated},
	{"f32-of-bf16", "F32", 8192, "7569b77b2f2d036d25cf411c1a75085d53c6de9a4b8d1bd775f81ff540a8c907", widened},
	{"q4_0", "Q4_0", 18*300 + 5, "ab7eeb5551ff070c53d19327d10b2c686c192ea82bd6298ae809045f911324c3", scaled},
	{"i8", "I8", 3000, "4d239efd16002450883f99ca72c2e8a0f149b8b5f896f6bb3dda0830402f4795", content("mixed")},
	{"f64-zeros", "F64", 2000, "2da42fb1d7bd8524e83d5a1e332bad697c8769ba430770a19bec630eb8ffcaa8", content("zeros")},
	{"mxfp4", "MXFP4", 17 * 300, "9417428219fafa922e52e3203bdb837751cc9d04bd4c75edb564639b8bf01e06", scaled},
	{"text", "", 5000, "d6cd3f7574f6ae02af698c309131e3725b06715167ba92bf8d72ef1dba69f367", content("periodic")},
}

// generated returns weights.
func generated(typ string, size int) []byte {
	return codectest.Payload(typ, codectest.Weights(uint64(size), size))[:size]
}

// widened returns weights in BF16 as F32.
func widened(_ string, size int) (p []byte) {
	narrow := generated("BF16", size/2)
	for i := 0; i < len(narrow); i += 2 {
		p = append(p, 0, 0, narrow[i], narrow[i+1])
	}
	return p
}

// scaled returns blocks of a scale and noise: 2 and 16 bytes, or 1 and 16.
func scaled(typ string, size int) []byte {
	p, scale := noise(size), 2
	if typ == "MXFP4" {
		scale = 1
	}
	for i := range p {
		if i%(scale+16) < scale {
			p[i] &= 7
		}
	}
	return p
}

func content(what string) func(string, int) []byte {
	return func(_ string, size int) []byte { return contents(size)[what] }
}

func (g *golden) read(t testing.TB) []byte {
	t.Helper()
	encoded, err := os.ReadFile(filepath.Join("testdata", g.name+".planes1"))
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func TestGolden(t *testing.T) {
	c := newCoder()
	for _, g := range goldens {
		if path := filepath.Join("testdata", g.name+".planes1"); *update {
			if _, err := os.Stat(path); err != nil {
				original := g.original(g.typ, g.size)
				if err := os.WriteFile(path, c.both(t, original, g.typ, codec.Max), 0o666); err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: SHA-256 %x", g.name, sha256.Sum256(original))
			}
		}
		encoded, back := g.read(t), make([]byte, g.size)
		if err := c.Decode(back, encoded); err != nil {
			t.Errorf("%s: %v", g.name, err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(back)); got != g.sha256 {
			t.Errorf("%s: decoded bytes with SHA-256 %s, want %s", g.name, got, g.sha256)
		}
		if want, err := decodeReference(encoded, g.size); err != nil || !bytes.Equal(back, want) {
			t.Errorf("%s: decoded differently from the document, %v", g.name, err)
		}
	}
}
