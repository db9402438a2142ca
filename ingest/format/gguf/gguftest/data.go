package gguftest

import "encoding/binary"

// Fill fills p with pseudo-random bytes: those from offset at on in the endless stream of seed.
// They do not compress, and any part can be computed on its own.
//
// The stream is the output of SplitMix64, whose state is a counter (Steele, Lea, Flood: Fast
// splittable pseudorandom number generators, OOPSLA 2014).
func Fill(p []byte, seed uint64, at int64) {
	n := uint64(at) / 8
	if skip := int(at % 8); skip > 0 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], mix(seed, n))
		p, n = p[copy(p, word[skip:]):], n+1
	}
	for ; len(p) >= 8; p, n = p[8:], n+1 {
		binary.LittleEndian.PutUint64(p, mix(seed, n))
	}
	if len(p) > 0 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], mix(seed, n))
		copy(p, word[:])
	}
}

// mix returns word n of the stream of seed.
func mix(seed, n uint64) uint64 {
	z := seed + (n+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// seedOf derives the seed of a tensor's data from the file's seed and the tensor's name.
func seedOf(seed uint64, name string) uint64 {
	for _, b := range []byte(name) {
		seed = mix(seed, uint64(b))
	}
	return mix(seed, uint64(len(name)))
}
