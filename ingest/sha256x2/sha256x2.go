// Package sha256x2 computes two SHA-256 digests of the same bytes at once: that of a file and that
// of a segment. SHA-256 is a chain in which each step depends on the one before. A processor with
// SHA instructions has capacity for a second chain, so two digests take the time of one on one
// core.
//
// It implements FIPS 180-4. [Hash.MarshalBinary] returns the state as crypto/sha256 does. If the
// processor lacks the instructions, in FIPS 140 mode, or with the build tag purego, the package
// uses crypto/sha256 on two cores.
package sha256x2

import (
	"encoding/binary"
	"errors"
)

// Size is the size of a digest, in bytes.
const Size = 32

// blockBytes is the block size of SHA-256.
const blockBytes = 64

// state is the hash value H0 to H7 of FIPS 180-4, 6.2.
type state [8]uint32

// Hash is a running SHA-256. A copy is independent. The zero value is invalid; use New.
type Hash struct {
	state state
	rest  [blockBytes]byte // the incomplete block: bytes % blockBytes bytes
	bytes uint64           // in total
}

// New returns a Hash of no bytes.
func New() *Hash {
	return &Hash{state: state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
		0x5be0cd19}}
}

// WriteBoth adds p to a and b, which may have had different numbers of bytes before. It is faster
// than two Writes if p has some thousands of bytes.
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

// Write adds p. It implements io.Writer and never fails.
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

// fill completes the incomplete block from p. It returns the rest of p, which is empty or starts a
// block.
func (h *Hash) fill(p []byte) []byte {
	filled := int(h.bytes % blockBytes)
	if filled == 0 {
		return p
	}
	n := copy(h.rest[filled:], p)
	h.bytes += uint64(n)
	if filled+n == blockBytes {
		compress(&h.state, h.rest[:])
	}
	return p[n:]
}

// Sum returns the digest of the bytes written so far. It does not change h.
func (h *Hash) Sum() (digest [Size]byte) {
	last := *h
	var padding [2 * blockBytes]byte // FIPS 180-4, 5.1.1: a one, zeros, and the number of bits at a block's end
	padding[0] = 0x80
	zeros := (2*blockBytes - 9 - h.bytes%blockBytes) % blockBytes
	binary.BigEndian.PutUint64(padding[1+zeros:], h.bytes*8)
	last.Write(padding[:1+zeros+8])
	for i, word := range last.state {
		binary.BigEndian.PutUint32(digest[4*i:], word)
	}
	return digest
}

// The marshalled form of crypto/sha256: magic, state, incomplete block, number of bytes.
const (
	magic        = "sha\x03"
	marshalBytes = len(magic) + 8*4 + blockBytes + 8
)

// MarshalBinary implements encoding.BinaryMarshaler. crypto/sha256 can unmarshal the result.
func (h *Hash) MarshalBinary() ([]byte, error) {
	b := append(make([]byte, 0, marshalBytes), magic...)
	for _, word := range h.state {
		b = binary.BigEndian.AppendUint32(b, word)
	}
	filled := h.bytes % blockBytes
	b = append(b, h.rest[:filled]...)
	b = append(b, make([]byte, blockBytes-filled)...)
	return binary.BigEndian.AppendUint64(b, h.bytes), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler, for the output of MarshalBinary and
// crypto/sha256.
func (h *Hash) UnmarshalBinary(b []byte) error {
	if len(b) != marshalBytes || string(b[:len(magic)]) != magic {
		return errors.New("not the state of a SHA-256")
	}
	b = b[len(magic):]
	for i := range h.state {
		h.state[i] = binary.BigEndian.Uint32(b[4*i:])
	}
	b = b[len(h.state)*4:]
	copy(h.rest[:], b)
	h.bytes = binary.BigEndian.Uint64(b[blockBytes:])
	return nil
}
