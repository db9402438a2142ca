// Package sha256x2 computes two SHA-256 digests of the same bytes at once: that of a file, and that of the
// segment which
// the bytes belong to. SHA-256 is a chain, in which each step waits for the one before it. A processor
// with instructions
// for it has room for a second chain meanwhile, so that two digests take the time of one, on one core.
//
// It is SHA-256 as in FIPS 180-4, and the state that [Hash.MarshalBinary] gives is that of crypto/sha256.
// Where the processor lacks the instructions, in FIPS 140 mode, or with the build tag purego,
// crypto/sha256 does the work, on
// two cores where there are two.
package sha256x2

import (
	"encoding/binary"
	"errors"
)

// Size is the size of a digest, in bytes.
const Size = 32

// blockBytes is how much SHA-256 takes in at a step.
const blockBytes = 64

// state is what the blocks before have made: a to h of FIPS 180-4, 6.2.
type state [8]uint32

// Hash is a SHA-256 that is being computed. A copy goes its own way. New makes one; the zero value is of no use.
type Hash struct {
	state state
	rest  [blockBytes]byte // bytes that do not fill a block yet: bytes % blockBytes of them
	bytes uint64           // in all
}

// New returns the Hash of nothing.
func New() *Hash {
	return &Hash{state: state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
		0x5be0cd19}}
}

// WriteBoth adds p to both. They need not have had the same number of bytes before. To be worth
// it, p should have some thousands of bytes.
func WriteBoth(a, b *Hash, p []byte) {
	ofA, ofB := a.fill(p), b.fill(p)
	if both := min(len(ofA), len(ofB)) / blockBytes; both > 0 {
		n := both * blockBytes
		compressBoth(&a.state, &b.state, ofA[:n], ofB[:n])
		a.bytes, b.bytes = a.bytes+uint64(n), b.bytes+uint64(n)
		ofA, ofB = ofA[n:], ofB[n:]
	}
	a.Write(ofA)
	b.Write(ofB)
}

// Write adds p. It implements io.Writer, and never fails.
func (h *Hash) Write(p []byte) (int, error) {
	more := h.fill(p)
	if n := len(more) / blockBytes * blockBytes; n > 0 {
		compress(&h.state, more[:n])
		h.bytes += uint64(n)
		more = more[n:]
	}
	copy(h.rest[h.bytes%blockBytes:], more)
	h.bytes += uint64(len(more))
	return len(p), nil
}

// fill takes from p what the block that was begun lacks, and returns the rest of p: it begins a block, or is empty.
func (h *Hash) fill(p []byte) []byte {
	begun := int(h.bytes % blockBytes)
	if begun == 0 {
		return p
	}
	n := copy(h.rest[begun:], p)
	h.bytes += uint64(n)
	if begun+n == blockBytes {
		compress(&h.state, h.rest[:])
	}
	return p[n:]
}

// Sum returns the digest of what was written so far. More may be written afterwards.
func (h *Hash) Sum() (digest [Size]byte) {
	last := *h
	var padding [2 * blockBytes]byte // FIPS 180-4, 5.1.1: a one, zeros, and the number of bits at the end of a block
	padding[0] = 0x80
	zeros := (2*blockBytes - 9 - h.bytes%blockBytes) % blockBytes
	binary.BigEndian.PutUint64(padding[1+zeros:], h.bytes*8)
	last.Write(padding[:1+zeros+8])
	for i, word := range last.state {
		binary.BigEndian.PutUint32(digest[4*i:], word)
	}
	return digest
}

// The form of crypto/sha256: a mark, the state, the bytes that fill no block yet, and the number of all bytes.
const (
	mark         = "sha\x03"
	marshalBytes = len(mark) + 8*4 + blockBytes + 8
)

// MarshalBinary implements encoding.BinaryMarshaler. crypto/sha256 can go on from there.
func (h *Hash) MarshalBinary() ([]byte, error) {
	b := append(make([]byte, 0, marshalBytes), mark...)
	for _, word := range h.state {
		b = binary.BigEndian.AppendUint32(b, word)
	}
	begun := h.bytes % blockBytes
	b = append(b, h.rest[:begun]...)
	b = append(b, make([]byte, blockBytes-begun)...)
	return binary.BigEndian.AppendUint64(b, h.bytes), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler, for what MarshalBinary and crypto/sha256 give.
func (h *Hash) UnmarshalBinary(b []byte) error {
	if len(b) != marshalBytes || string(b[:len(mark)]) != mark {
		return errors.New("not the state of a SHA-256")
	}
	b = b[len(mark):]
	for i := range h.state {
		h.state[i] = binary.BigEndian.Uint32(b[4*i:])
	}
	b = b[len(h.state)*4:]
	copy(h.rest[:], b)
	h.bytes = binary.BigEndian.Uint64(b[blockBytes:])
	return nil
}
