package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/codec/codectest"
	"github.com/hartonomous/ingest/ingest/format/gguf"
)

var levels = []codec.Level{codec.Off, codec.Auto, codec.Max}

// coder is an Encoder and a Decoder with buffers, for one test.
type coder struct {
	*codec.Encoder
	*codec.Decoder
	into, back []byte
}

func newCoder() *coder { return &coder{Encoder: codec.NewEncoder(), Decoder: codec.NewDecoder()} }

// roundTrip encodes payload and checks the result, which it returns.
func (c *coder) roundTrip(t testing.TB, payload []byte, typ string, level codec.Level) []byte {
	t.Helper()
	c.into = append(c.into[:0], make([]byte, len(payload)+8)...)
	for i := range 8 {
		c.into[len(payload)+i] = 0xa5
	}
	encoded := c.Encode(c.into[:len(payload)], payload, typ, level)
	if string(c.into[len(payload):]) != "\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5" {
		t.Fatalf("%s, %d bytes: Encode wrote beyond its buffer", typ, len(payload))
	}
	if encoded == nil {
		return nil
	}
	if level == codec.Off || len(encoded) > len(payload)-len(payload)/64 || &encoded[0] != &c.into[0] {
		t.Fatalf("%s, %d bytes: %d encoded at level %v", typ, len(payload), len(encoded), level)
	}
	if size, err := codec.Size(encoded); err != nil || size != int64(len(payload)) {
		t.Fatalf("%s, %d bytes: Size is %d, %v", typ, len(payload), size, err)
	}
	c.back = append(c.back[:0], make([]byte, len(payload))...)
	if err := c.Decode(c.back, encoded); err != nil || !bytes.Equal(c.back, payload) {
		t.Fatalf("%s, %d bytes, level %v: decoded differently, %v", typ, len(payload), level, err)
	}
	return encoded
}

// both is roundTrip with the other decoder too.
func (c *coder) both(t testing.TB, payload []byte, typ string, level codec.Level) []byte {
	t.Helper()
	encoded := c.roundTrip(t, payload, typ, level)
	if encoded != nil {
		if back, err := decodeReference(encoded, len(payload)); err != nil || !bytes.Equal(back, payload) {
			t.Fatalf("%s, %d bytes, level %v: decoded differently from the document, %v", typ, len(payload), level, err)
		}
	}
	return encoded
}

// typeNames are the types of ggml and others.
func typeNames() []string {
	names := []string{"", "F8_E4M3", "F8_E5M2", "BOOL", "U8", "U16", "U32", "U64", "C64", "unknown"}
	for t := gguf.Type(0); t < 64; t++ {
		names = append(names, t.String())
	}
	return names
}

func noise(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(p)
	return p
}

// contents are n bytes of several kinds.
func contents(n int) map[string][]byte {
	periodic, mixed := make([]byte, n), noise(n)
	for i := range n {
		periodic[i] = byte(i % 7)
		if i%34 < 2 || i%5 == 3 {
			mixed[i] &= 3
		}
	}
	weights := codectest.Payload("BF16", codectest.Weights(uint64(n), n/2+1))[:n]
	return map[string][]byte{"noise": noise(n), "zeros": make([]byte, n), "equal": bytes.Repeat([]byte{0x3c}, n),
		"periodic": periodic, "mixed": mixed, "weights": weights,
		"half": append(bytes.Clone(weights[:n/2]), noise(n-n/2)...)}
}

func TestRoundTrip(t *testing.T) {
	c := newCoder()
	sizes := []int{0, 1, 3, 1023, 1024, 1025, 4097, 20_011}
	if raceEnabled { // ten times slower, and no goroutine to watch
		sizes = sizes[:len(sizes)-1]
	}
	for _, size := range sizes {
		for what, content := range contents(size) {
			t.Run(fmt.Sprint(size, " ", what), func(t *testing.T) {
				for _, typ := range typeNames() {
					for _, level := range levels {
						c.both(t, content, typ, level)
					}
				}
			})
		}
	}
}

// TestLarge: payloads of several chunks, with a last one that is not whole.
func TestLarge(t *testing.T) {
	c := newCoder()
	for _, typ := range []string{"", "BF16", "F16", "F32", "F64", "I16", "I8", "Q8_0", "Q4_K", "MXFP4"} {
		for what, content := range contents(3<<20 + 5) {
			for _, level := range levels {
				encoded := c.roundTrip(t, content, typ, level)
				if what == "noise" && encoded != nil {
					t.Errorf("%s, level %v: noise became %d bytes", typ, level, len(encoded))
				}
			}
		}
	}
}

// TestRatios: generated weights get smaller by what the exponents and scales allow.
func TestRatios(t *testing.T) {
	c := newCoder()
	for _, goal := range []struct {
		typ   string
		level codec.Level
		ratio float64
	}{{"BF16", codec.Auto, 1.45}, {"F16", codec.Auto, 1.15}, {"F32", codec.Auto, 1.19}, {"Q8_0", codec.Auto, 1.015},
		{"Q8_0", codec.Max, 1.03}} {
		payload := codectest.Payload(goal.typ, codectest.Weights(1, 1<<20))
		encoded := c.roundTrip(t, payload, goal.typ, goal.level)
		if encoded == nil || float64(len(payload)) < goal.ratio*float64(len(encoded)) {
			t.Errorf("%s, level %v: %d of %d bytes, want ratio %.3f", goal.typ, goal.level, len(encoded),
				len(payload), goal.ratio)
		}
	}
}

// folder has real files of other programs. It is beside the checkout.
var folder = filepath.Join("..", "..", "..", "shared", "testdata")

func TestRealFiles(t *testing.T) {
	if _, err := os.Stat(folder); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("real files are missing: %v", err)
		}
		t.Skipf("real files are missing: %v", err)
	}
	c := newCoder()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, typ := range []string{"", "F32", "BF16", "Q8_0"} {
			for _, level := range levels {
				if len(content) < 32<<10 {
					c.both(t, content, typ, level)
				} else {
					c.roundTrip(t, content, typ, level)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMemory: nothing is allocated for each payload, and neither keeps more than it says.
func TestMemory(t *testing.T) {
	text := bytes.Repeat([]byte("the quick brown fox "), 200_000)
	weights := codectest.Payload("BF16", codectest.Weights(1, 1<<20))
	into, back := make([]byte, len(text)), make([]byte, len(text))
	payloads := map[string][]byte{"": text, "BF16": weights, "Q8_0": weights}
	for _, level := range levels[1:] {
		before := heap()
		e, d := codec.NewEncoder(), codec.NewDecoder()
		work := func() {
			for typ, payload := range payloads {
				if encoded := e.Encode(into, payload, typ, level); encoded != nil {
					if err := d.Decode(back[:len(payload)], encoded); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if n := testing.AllocsPerRun(10, work); n > 0 && !raceEnabled {
			t.Errorf("level %v: %v allocations", level, n)
		}
		both := heap() - before
		runtime.KeepAlive(e)
		decoder := heap() - before
		runtime.KeepAlive(d)
		if encoder := both - decoder; int64(encoder) > level.EncoderBytes() || decoder > codec.DecoderBytes {
			t.Errorf("level %v: an encoder keeps %d bytes, a decoder %d", level, encoder, decoder)
		} else {
			t.Logf("level %v: an encoder keeps %d bytes, a decoder %d", level, encoder, decoder)
		}
	}
	runtime.KeepAlive([][]byte{into, back})
}

// heap returns the bytes in use.
func heap() int {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // also what pools kept
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

func TestSameTwice(t *testing.T) {
	a, b := newCoder(), newCoder()
	for _, typ := range []string{"", "BF16", "F32", "Q8_0"} {
		for what, content := range contents(300_000) {
			first := bytes.Clone(a.roundTrip(t, content, typ, codec.Max))
			a.roundTrip(t, noise(5000), "F16", codec.Auto)
			if second := b.roundTrip(t, content, typ, codec.Max); !bytes.Equal(first, second) {
				t.Errorf("%s, %s: encoded differently by another encoder", typ, what)
			}
		}
	}
}

func TestLevel(t *testing.T) {
	for _, level := range levels {
		var got codec.Level
		if err := got.Set(level.String()); err != nil || got != level {
			t.Errorf("%v: set %v, %v", level, got, err)
		}
	}
	if err := new(codec.Level).Set("best"); err == nil {
		t.Error("best is a level")
	}
}

// damaged checks that encoded is refused.
func damaged(t *testing.T, d *codec.Decoder, into, encoded []byte, what string) {
	t.Helper()
	if err := d.Decode(into, encoded); !errors.Is(err, codec.ErrCorrupt) {
		t.Fatalf("%s: Decode returns %v", what, err)
	}
}

func TestDamage(t *testing.T) {
	c, every := newCoder(), 1
	if raceEnabled {
		every = 17
	}
	for _, typ := range []string{"", "BF16", "F32", "Q8_0", "I8"} {
		for what, payload := range contents(3001) {
			encoded := c.roundTrip(t, payload, typ, codec.Max)
			for bit := 0; bit < 8*len(encoded); bit += every {
				encoded[bit/8] ^= 1 << (bit % 8)
				damaged(t, c.Decoder, c.back, encoded, fmt.Sprintf("%s, %s, bit %d", typ, what, bit))
				encoded[bit/8] ^= 1 << (bit % 8)
			}
			for n := range encoded {
				damaged(t, c.Decoder, c.back, encoded[:n], fmt.Sprintf("%s, %s, %d bytes", typ, what, n))
			}
			if encoded != nil {
				damaged(t, c.Decoder, c.back, append(bytes.Clone(encoded), 0), typ+what+": a trailing byte")
				damaged(t, c.Decoder, c.back[1:], encoded, typ+what+": another length")
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, typ := range codectest.Types {
		payload := codectest.Payload(typ, codectest.Weights(1, 1<<20))
		encoded := c.roundTrip(t, payload, typ, codec.Auto)
		for range 200 {
			bit := r.IntN(8 * len(encoded))
			encoded[bit/8] ^= 1 << (bit % 8)
			damaged(t, c.Decoder, c.back, encoded, fmt.Sprintf("%s, bit %d", typ, bit))
			encoded[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// TestLongStream: a plane with a stream that is longer than its size can say is stored by another method.
func TestLongStream(t *testing.T) {
	c := newCoder()
	payload := make([]byte, 256<<10)
	rand.NewChaCha8([32]byte{1}).Read(payload[:64<<10])
	for _, typ := range []string{"I8", "I16", "BF16", "U32"} {
		for _, level := range levels {
			c.both(t, payload, typ, level)
		}
	}
}
