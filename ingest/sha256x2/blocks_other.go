//go:build !amd64 || purego

package sha256x2

func compressBoth(a, b *state, ofA, ofB []byte) { compressBothStd(a, b, ofA, ofB) }
