package sha256x2

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"hash"
	"math/rand/v2"
	"testing"
)

// noise is n bytes that look random.
func noise(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(p)
	return p
}

// std is crypto/sha256's, and what it marshals.
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

// same compares with crypto/sha256: the digest, and the state to go on from.
func same(t testing.TB, what string, h *Hash, want std) {
	t.Helper()
	if got := h.Sum(); !bytes.Equal(got[:], want.Sum(nil)) {
		t.Errorf("%s: the digest is %x, want %x", what, got, want.Sum(nil))
	}
	if got, err := h.MarshalBinary(); err != nil || !bytes.Equal(got, want.state(t)) {
		t.Errorf("%s: the state is %x, %v, want %x", what, got, err, want.state(t))
	}
}

// The vectors of NIST's "SHA-256 examples", one block and two.
func TestExamples(t *testing.T) {
	for text, want := range map[string]string{
		"":    "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9\x24\x27\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95\x99\x1b\x78\x52\xb8\x55",
		"abc": "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad",
		"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "\x24\x8d\x6a\x61\xd2\x06\x38\xb8\xe5\xc0\x26\x93\x0c\x3e\x60\x39\xa3\x3c\xe4\x59\x64\xff\x21\x67\xf6\xec\xed\xd4\x19\xdb\x06\xc1",
	} {
		h := New()
		h.Write([]byte(text))
		if got := h.Sum(); string(got[:]) != want {
			t.Errorf("%q has %x", text, got)
		}
	}
}

// Each length up to a few blocks, with each beginning of a block that is there already, in either chain.
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
				same(t, "first", a, wantA)
				same(t, "second", b, wantB)
				if t.Failed() {
					t.Fatalf("%d and %d bytes, and then %d", begunA, begunB, n)
				}
			}
		}
	}
}

// Megabytes, in pieces of all sizes; the second chain begins anew from time to time, as that of a segment does.
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
		same(t, "first", a, wantA)
		same(t, "second", b, wantB)
		if random.IntN(10) == 0 {
			b, wantB = New(), newStd()
		}
		if random.IntN(10) == 0 { // interrupted, and continued
			state, _ := a.MarshalBinary()
			a = New()
			if err := a.UnmarshalBinary(state); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What crypto/sha256 saved is gone on with, and the other way round.
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
		same(t, "continued", h, before)
	}
	good := newStd().state(t)
	for name, bad := range map[string][]byte{"nothing": nil, "short": good[1:], "long": append(bytes.Clone(good), 0),
		"another hash": append([]byte("sha\x02"), good[4:]...)} {
		if err := New().UnmarshalBinary(bad); err == nil {
			t.Errorf("%s was taken for a state", name)
		}
	}
}

// A copy goes its own way.
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

// The way without the instructions gives the same, also where tests run on a processor that has them.
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
		same(t, "first", a, wantA)
		same(t, "second", b, wantB)
	})
}

// The benchmarks are in bytes of one chain: what both take is to be compared with what one takes.
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
