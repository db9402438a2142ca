package sha256x2

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"fmt"
	"hash"
	"math/rand/v2"
	"testing"
)

// noise returns n pseudo-random bytes.
func noise(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(p)
	return p
}

// std is a hash of crypto/sha256.
type std struct{ hash.Hash }

func newStd() std { return std{sha256.New()} }

func (s std) state(t testing.TB) []byte {
	t.Helper()
	b, err := s.Hash.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// compare compares the digest and the state with those of crypto/sha256.
func compare(t testing.TB, what string, h *Hash, want std) {
	t.Helper()
	if got := h.Sum(); !bytes.Equal(got[:], want.Sum(nil)) {
		t.Errorf("%s: the digest is %x, want %x", what, got, want.Sum(nil))
	}
	if got, err := h.MarshalBinary(); err != nil || !bytes.Equal(got, want.state(t)) {
		t.Errorf("%s: the state is %x, %v, want %x", what, got, err, want.state(t))
	}
}

// The test vectors of NIST's "SHA-256 examples", with one block and two.
func TestExamples(t *testing.T) {
	for text, want := range map[string]string{
		"":    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "248d6a61d20638b8e5c026930c3e6039" +
			"a33ce45964ff2167f6ecedd419db06c1",
	} {
		h := New()
		h.Write([]byte(text))
		if got := fmt.Sprintf("%x", h.Sum()); got != want {
			t.Errorf("%q has %s", text, got)
		}
	}
}

// All lengths up to a few blocks, after all lengths of an incomplete block, in both chains.
func TestLengths(t *testing.T) {
	p := noise(600)
	for begunA := range 70 {
		for _, begunB := range []int{0, 1, 31, 32, 63, 64, 65} {
			for n := 0; n <= 300; n += 1 + n/20 {
				a, b, wantA, wantB := New(), New(), newStd(), newStd()
				for _, w := range []interface{ Write([]byte) (int, error) }{a, wantA} {
					w.Write(p[:begunA])
				}
				for _, w := range []interface{ Write([]byte) (int, error) }{b, wantB} {
					w.Write(p[7 : 7+begunB])
				}
				WriteBoth(a, b, p[100:100+n])
				wantA.Write(p[100 : 100+n])
				wantB.Write(p[100 : 100+n])
				compare(t, "first", a, wantA)
				compare(t, "second", b, wantB)
				if t.Failed() {
					t.Fatalf("%d and %d bytes, then %d", begunA, begunB, n)
				}
			}
		}
	}
}

// Megabytes in writes of all sizes. The second chain restarts from time to time, like that of
// segments.
func TestLong(t *testing.T) {
	p := noise(5<<20 + 77)
	random := rand.New(rand.NewPCG(1, 2))
	a, b, wantA, wantB := New(), New(), newStd(), newStd()
	for len(p) > 0 {
		n := min(len(p), random.IntN(1<<(1+random.IntN(20))))
		WriteBoth(a, b, p[:n])
		wantA.Write(p[:n])
		wantB.Write(p[:n])
		p = p[n:]
		compare(t, "first", a, wantA)
		compare(t, "second", b, wantB)
		if random.IntN(10) == 0 {
			b, wantB = New(), newStd()
		}
		if random.IntN(10) == 0 { // interrupt and resume
			state, _ := a.MarshalBinary()
			a = New()
			if err := a.UnmarshalBinary(state); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// States of crypto/sha256 can be resumed.
func TestStates(t *testing.T) {
	p := noise(1000)
	for n := range 200 {
		before := newStd()
		before.Write(p[:n])
		h := New()
		if err := h.UnmarshalBinary(before.state(t)); err != nil {
			t.Fatal(err)
		}
		h.Write(p[n:])
		before.Write(p[n:])
		compare(t, "resumed", h, before)
	}
	good := newStd().state(t)
	for name, bad := range map[string][]byte{"nothing": nil, "short": good[1:], "long": append(bytes.Clone(good), 0),
		"another hash": append([]byte("sha\x02"), good[4:]...)} {
		if err := New().UnmarshalBinary(bad); err == nil {
			t.Errorf("%s was accepted as a state", name)
		}
	}
}

// A copy is independent.
func TestCopy(t *testing.T) {
	h := New()
	h.Write([]byte("ab"))
	copied := *h
	h.Write([]byte("x"))
	copied.Write([]byte("c"))
	if got := copied.Sum(); got != sha256.Sum256([]byte("abc")) {
		t.Errorf("%x", got)
	}
}

// compressBothStd and compressBoth agree.
func TestWithoutInstructions(t *testing.T) {
	for _, n := range []int{1, 3, 1000} {
		p := noise((n + 1) * blockBytes)
		a, b := New().state, New().state
		compressBothStd(&a, &b, p[:n*blockBytes], p[blockBytes:])
		wantA, wantB := New().state, New().state
		compressBoth(&wantA, &wantB, p[:n*blockBytes], p[blockBytes:])
		if a != wantA || b != wantB {
			t.Errorf("%d blocks: %x and %x, want %x and %x", n, a, b, wantA, wantB)
		}
	}
}

func FuzzWriteBoth(f *testing.F) {
	f.Add([]byte("a"), []byte("bc"), []byte("and then"), 3)
	f.Add(noise(63), noise(1), noise(400), 130)
	f.Fuzz(func(t *testing.T, begunA, begunB, p []byte, cut int) {
		a, b, wantA, wantB := New(), New(), newStd(), newStd()
		a.Write(begunA)
		wantA.Write(begunA)
		b.Write(begunB)
		wantB.Write(begunB)
		cut = min(max(cut, 0), len(p))
		for _, part := range [][]byte{p[:cut], p[cut:]} {
			WriteBoth(a, b, part)
			wantA.Write(part)
			wantB.Write(part)
		}
		compare(t, "first", a, wantA)
		compare(t, "second", b, wantB)
	})
}

// The benchmarks count the bytes of one chain, so that both can be compared.
func BenchmarkBoth(b *testing.B) {
	p := noise(8 << 20)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		WriteBoth(New(), New(), p)
	}
}

func BenchmarkOne(b *testing.B) {
	p := noise(8 << 20)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		sha256.Sum256(p)
	}
}

func BenchmarkWrite(b *testing.B) {
	p := noise(8 << 20)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		h := New()
		h.Write(p)
		h.Sum()
	}
}
