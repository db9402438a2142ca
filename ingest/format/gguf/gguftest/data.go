package gguftest

import "encoding/binary"

// Fill fills p with the bytes from offset at on of the endless stream that belongs to seed. The bytes look random, so
// they do not compress, and any part can be made without the one before it.
//
// Eight bytes at a time are the output of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
// generators, OOPSLA 2014), whose state is a counter.
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

// mix returns word n of the stream that belongs to seed.
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
