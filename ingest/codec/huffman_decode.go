package codec

import (
	"encoding/binary"
	"math/bits"
)

// table decodes a Huffman code. Its index is the next maxCodeBits bits of a stream. An entry has
// up to three symbols in its upper 24 bits, their number in the next two, and in the lowest six the
// number of bits that they take.
type table struct {
	entries [1 << maxCodeBits]uint32
	bits    [256]byte // of the code of each symbol
}

func (d *table) set(t *tree) {
	// First the entries of one symbol. Codes that are shorter than maxCodeBits have several.
	next, shift := t.starts(), maxCodeBits-t.bits
	for symbol, weight := range t.weights[:t.symbols] {
		if weight == 0 {
			continue
		}
		size := uint(1) << (weight - 1) << shift
		from := next[weight] << shift
		next[weight] += 1 << (weight - 1)
		d.bits[symbol] = byte(t.bits + 1 - uint(weight))
		entry := uint32(symbol)<<8 | 1<<6 | uint32(d.bits[symbol])
		entries := d.entries[from : from+size]
		for i := range entries {
			entries[i] = entry
		}
	}
	// Then as many symbols as the index has completely.
	var single [1 << maxCodeBits]uint16
	for i, entry := range d.entries {
		single[i] = uint16(entry&0xff00 | entry&63)
	}
	for i, entry := range d.entries {
		n := entry & 63
		second := uint32(single[uint32(i)<<n%(1<<maxCodeBits)])
		if n+second&63 > maxCodeBits {
			continue
		}
		n += second & 63
		symbols := entry>>8 | second&0xff00
		third := uint32(single[uint32(i)<<n%(1<<maxCodeBits)])
		if n == maxCodeBits || n+third&63 > maxCodeBits {
			d.entries[i] = symbols<<8 | 2<<6 | n
			continue
		}
		d.entries[i] = (symbols|third&0xff00<<8)<<8 | 3<<6 | (n + third&63)
	}
}

// stream is the state of decoding one stream: from its end to its start, into from its start to its
// end.
type stream struct {
	in, into []byte
	at       int // bytes of into that are decoded
	left     int // bits of in that are not decoded yet
}

// decode decodes four streams into into.
func (d *table) decode(into, in []byte) error {
	if len(into) < minHuffman || len(in) < jumpBytes {
		return errStream
	}
	var streams [4]stream
	part := (len(into) + 3) / 4
	rest := in[jumpBytes:]
	for i := range streams {
		size := len(rest)
		if i < 3 {
			size = int(binary.LittleEndian.Uint16(in[2*i:]))
		}
		if size > len(rest) || size == 0 || rest[size-1] == 0 {
			return errStream
		}
		s := &streams[i]
		s.in, rest = rest[:size], rest[size:]
		s.into, into = into[:min(part, len(into))], into[min(part, len(into)):]
		s.left = 8*size - 1 - bits.LeadingZeros8(s.in[size-1])
	}
	d.decodeFour(&streams)
	for i := range streams {
		d.decodeOne(&streams[i])
		if !d.finish(&streams[i]) {
			return errStream
		}
	}
	return nil
}

const (
	lookups   = 5  // of 11 bits, in the 57 bits that a load has at least
	roundSize = 19 // bytes of output that a round may write, rounded up for a mask
)

// decodeFour decodes four streams at a time until one of them is almost at its end.
func (d *table) decodeFour(s *[4]stream) {
	most := len(s[3].into) - roundSize
	for min(s[0].left, s[1].left, s[2].left, s[3].left) >= 64 && max(s[0].at, s[1].at, s[2].at, s[3].at) <= most {
		v0, v1, v2, v3 := s[0].load(), s[1].load(), s[2].load(), s[3].load()
		o0, o1, o2, o3 := s[0].round(), s[1].round(), s[2].round(), s[3].round()
		a0, a1, a2, a3 := 0, 0, 0, 0
		for range lookups {
			e0, e1 := d.entries[v0>>(64-maxCodeBits)], d.entries[v1>>(64-maxCodeBits)]
			e2, e3 := d.entries[v2>>(64-maxCodeBits)], d.entries[v3>>(64-maxCodeBits)]
			binary.LittleEndian.PutUint32(o0[a0&15:], e0>>8)
			binary.LittleEndian.PutUint32(o1[a1&15:], e1>>8)
			binary.LittleEndian.PutUint32(o2[a2&15:], e2>>8)
			binary.LittleEndian.PutUint32(o3[a3&15:], e3>>8)
			a0 += int(e0 >> 6 & 3)
			a1 += int(e1 >> 6 & 3)
			a2 += int(e2 >> 6 & 3)
			a3 += int(e3 >> 6 & 3)
			v0 <<= e0 & 63
			v1 <<= e1 & 63
			v2 <<= e2 & 63
			v3 <<= e3 & 63
		}
		s[0].advance(v0, a0)
		s[1].advance(v1, a1)
		s[2].advance(v2, a2)
		s[3].advance(v3, a3)
	}
}

// load returns the next 57 bits or more, and a 1 below them whose place tells how many were used.
func (s *stream) load() uint64 {
	return (binary.LittleEndian.Uint64(s.in[(s.left+7)>>3-8:]) | 1) << (-s.left & 7)
}

// round returns where a round writes.
func (s *stream) round() *[roundSize]byte { return (*[roundSize]byte)(s.into[s.at:]) }

// advance ends a round that wrote n bytes and left value.
func (s *stream) advance(value uint64, n int) {
	s.left = (s.left+7)&^7 - bits.TrailingZeros64(value)
	s.at += n
}

// decodeOne decodes a stream until it is almost at its end.
func (d *table) decodeOne(s *stream) {
	for s.left >= 64 && s.at <= len(s.into)-roundSize {
		value, round, n := s.load(), s.round(), 0
		for range lookups {
			entry := d.entries[value>>(64-maxCodeBits)]
			binary.LittleEndian.PutUint32(round[n&15:], entry>>8)
			n += int(entry >> 6 & 3)
			value <<= entry & 63
		}
		s.advance(value, n)
	}
}

// finish decodes the rest of a stream, symbol by symbol. It reports whether stream and output end
// together.
func (d *table) finish(s *stream) bool {
	for s.at < len(s.into) && s.left > 0 {
		var last [8]byte // the bytes at whose end the next bits are
		end := (s.left + 7) >> 3
		copy(last[max(0, 8-end):], s.in[max(0, end-8):end])
		value := binary.LittleEndian.Uint64(last[:]) << (-s.left & 7)
		for range min(lookups, len(s.into)-s.at) {
			symbol := byte(d.entries[value>>(64-maxCodeBits)] >> 8)
			s.into[s.at] = symbol
			s.at++
			value <<= d.bits[symbol] & 63
			s.left -= int(d.bits[symbol])
		}
	}
	return s.at == len(s.into) && s.left == 0
}
