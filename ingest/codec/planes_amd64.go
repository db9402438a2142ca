//go:build amd64 && !purego

package codec

import "github.com/klauspost/cpuid/v2"

var useInstructions = cpuid.CPU.Supports(cpuid.AVX2)

// block is how many numbers of 16 bits the instructions handle at a time.
const block = 32

// gatherLow copies the low bytes of n blocks of rotated numbers. n must be positive.
//
//go:noescape
func gatherLow(plane, src *byte, n int)

// gatherHigh copies the high bytes of n blocks of rotated numbers. n must be positive.
//
//go:noescape
func gatherHigh(plane, src *byte, n int)

// joinRotated joins n blocks of rotated numbers. n must be positive.
//
//go:noescape
func joinRotated(into, low, high *byte, n int)

// gatherRotated copies the byte at 0 or 1 of the numbers of 16 bits in src, rotated, to plane.
func gatherRotated(plane, src []byte, at int) {
	n := min(len(plane), len(src)/2) / block
	if useInstructions && n > 0 {
		if at == 0 {
			gatherLow(&plane[0], &src[0], n)
		} else {
			gatherHigh(&plane[0], &src[0], n)
		}
		plane, src = plane[n*block:], src[2*n*block:]
	}
	gatherRotatedGo(plane, src, at)
}

// join2Rotated joins rotated numbers of 16 bits.
func join2Rotated(into, low, high []byte) {
	n := min(len(into)/2, len(low), len(high)) / block
	if useInstructions && n > 0 {
		joinRotated(&into[0], &low[0], &high[0], n)
		into, low, high = into[2*n*block:], low[n*block:], high[n*block:]
	}
	join2RotatedGo(into, low, high)
}
