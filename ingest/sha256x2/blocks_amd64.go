//go:build amd64 && !purego

package sha256x2

import (
	"crypto/fips140"

	"github.com/klauspost/cpuid/v2"
)

// instructions says whether to use them. Who has Go run in FIPS 140 mode wants the validated implementation.
var instructions = cpuid.CPU.Supports(cpuid.SHA, cpuid.SSSE3, cpuid.SSE4) && !fips140.Enabled()

// blocks takes n blocks, n > 0, from ofA into a and as many from ofB into b.
//
//go:noescape
func blocks(a, b *state, ofA, ofB *byte, n int)

// atOnce is how many blocks go without the runtime being able to stop the goroutine.
const atOnce = 64 << 10 / blockBytes

func compressBoth(a, b *state, ofA, ofB []byte) {
	if !instructions {
		compressBothStd(a, b, ofA, ofB)
		return
	}
	for len(ofA) > 0 {
		n := min(len(ofA)/blockBytes, atOnce)
		blocks(a, b, &ofA[0], &ofB[0], n)
		ofA, ofB = ofA[n*blockBytes:], ofB[n*blockBytes:]
	}
}

// compress has the second chain compute something for nobody: it costs nothing.
func compress(s *state, b []byte) {
	if !instructions {
		compressStd(s, b)
		return
	}
	var nobody state
	compressBoth(s, &nobody, b, b)
}
