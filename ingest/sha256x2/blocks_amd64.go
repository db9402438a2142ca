//go:build amd64 && !purego

package sha256x2

import (
	"crypto/fips140"

	"github.com/klauspost/cpuid/v2"
)

// useInstructions is set if the processor has the instructions. FIPS 140 mode needs the validated
// implementation of crypto/sha256.
var useInstructions = cpuid.CPU.Supports(cpuid.SHA, cpuid.SSSE3, cpuid.SSE4) && !fips140.Enabled()

// blocks adds n blocks of ofA to a, and n blocks of ofB to b. n must be positive.
//
//go:noescape
func blocks(a, b *state, ofA, ofB *byte, n int)

// maxBlocks limits a call of blocks, during which the runtime cannot preempt the goroutine.
const maxBlocks = 64 << 10 / blockBytes

func compressBoth(a, b *state, ofA, ofB []byte) {
	if !useInstructions {
		compressBothStd(a, b, ofA, ofB)
		return
	}
	for len(ofA) > 0 {
		n := min(len(ofA)/blockBytes, maxBlocks)
		blocks(a, b, &ofA[0], &ofB[0], n)
		ofA, ofB = ofA[n*blockBytes:], ofB[n*blockBytes:]
	}
}
