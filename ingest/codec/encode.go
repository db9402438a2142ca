package codec

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// Methods of a plane.
const (
	methodRaw     = 0
	methodRun     = 1 // of one byte
	methodHuffman = 2
	methodZstd    = 3
)

// Encoder encodes payloads, one at a time. It keeps at most Level.EncoderBytes.
type Encoder struct {
	scratch                []byte // a sample or a plane
	counts, column, merged [256]uint32
	huff0                  huff0.Scratch
	description            []byte // of a tree
	tree                   tree
	codes                  codes
	zstd                   *zstd.Encoder // for zstdLevel; nil before its first use
	zstdLevel              Level
}

// NewEncoder returns an Encoder.
func NewEncoder() *Encoder {
	e := &Encoder{scratch: make([]byte, 0, chunkOf(maxStride)), description: make([]byte, 0, 256)}
	e.huff0.Out = make([]byte, 0, 256) // AppendTable would allocate it each time
	return e
}

// Encode encodes payload into into and returns the encoded bytes, a prefix of into. It returns nil
// if this does not save at least 1/64 of payload. typ is the type of payload's elements, as in
// column QuantizationType; empty for bytes outside of tensors. into has at least len(payload) bytes
// and does not overlap payload; all of it may be overwritten. The same payload, typ and level give
// the same bytes in one version of the program. Encode does not allocate after its first calls with
// a level.
func (e *Encoder) Encode(into, payload []byte, typ string, level Level) []byte {
	if level == Off {
		return nil
	}
	p, ok := e.probe(payload, typ, level)
	if !ok {
		return nil
	}
	h := header{layout: p.layout, length: int64(len(payload)), tail: payload[len(payload)/p.stride*p.stride:]}
	out := into[:min(len(into), len(payload)-len(payload)/leastSaving)]
	at := p.headerBytes(len(payload))
	if at > len(out) {
		return nil
	}
	each := p.stride * p.elements
	for rest := payload[:len(payload)-len(h.tail)]; len(rest) > 0; {
		chunk := rest[:min(each, len(rest))]
		h.checksum = crc32.Update(h.checksum, castagnoli, chunk)
		n, ok := e.chunk(out[at:], chunk, &p, level)
		if !ok {
			return nil
		}
		at, rest = at+n, rest[len(chunk):]
	}
	h.checksum = crc32.Update(h.checksum, castagnoli, h.tail)
	h.write(out)
	return out[:at]
}

// chunk encodes a chunk into into and returns its size. ok is false if there is no room.
func (e *Encoder) chunk(into, chunk []byte, p *plan, level Level) (size int, ok bool) {
	start := p.chunkBytes()
	if len(into) < start {
		return 0, false
	}
	size = start
	for i, at := 0, 0; i < p.fields; i++ {
		width := int(p.widths[i])
		method, n := e.plane(into[size:], chunk, p, i, at, level)
		if n < 0 {
			return 0, false
		}
		binary.LittleEndian.PutUint32(into[description*i:], uint32(n)<<8|uint32(method))
		at, size = at+width, size+n
	}
	sum := crc32.Checksum(into[:start-checksum], castagnoli)
	sum = crc32.Update(sum, castagnoli, into[start:size])
	binary.LittleEndian.PutUint32(into[start-checksum:], sum)
	return size, true
}

// plane encodes the plane of field i, which starts at byte at of the elements. Without room, size
// is -1.
func (e *Encoder) plane(into, chunk []byte, p *plan, i, at int, level Level) (method byte, size int) {
	width := int(p.widths[i])
	bytes := len(chunk) / p.stride * width
	if !p.coded[i] {
		if bytes > len(into) {
			return 0, -1
		}
		p.gather(into[:bytes], chunk, at, width)
		return methodRaw, bytes
	}
	plane := chunk
	if p.fields > 1 {
		plane = e.scratch[:bytes]
		p.gather(plane, chunk, at, width)
	}
	if p.zstd {
		if n := e.compress(into, plane, level); n > 0 {
			return methodZstd, n
		}
	} else if n := e.huffman(into, plane); n == 1 {
		return methodRun, n
	} else if n > 0 {
		return methodHuffman, n
	}
	if bytes > len(into) {
		return 0, -1
	}
	return methodRaw, copy(into, plane)
}

// huffman encodes plane with a Huffman code of its own and returns the size; 1 if it is a run of
// one byte, 0 if it is not worth it or there is no room.
func (e *Encoder) huffman(into, plane []byte) int {
	histogram(&e.counts, plane)
	if len(into) > 0 && e.counts[plane[0]] == uint32(len(plane)) {
		into[0] = plane[0]
		return 1
	}
	if len(plane) < minHuffman || e.huff0.BuildCTable(&e.counts) != nil {
		return 0
	}
	tree, err := e.huff0.AppendTable(e.description[:0])
	if err != nil {
		return 0
	}
	if _, err := e.tree.read(tree); err != nil {
		return 0
	}
	e.codes.set(&e.tree)
	bits, ok := e.codes.bits(&e.counts)
	most := len(tree) + bits/8 + huffmanSlack
	if !ok || most > len(into) || most > len(plane)-len(plane)/leastSaving {
		return 0
	}
	copy(into, tree)
	n, ok := e.codes.encode(into[len(tree):], plane)
	if !ok {
		return 0
	}
	return len(tree) + n
}

// histogram counts the bytes of plane. Equal bytes often follow each other, so four sets of
// counters keep one addition from waiting for another.
func histogram(counts *[256]uint32, plane []byte) {
	*counts = [256]uint32{}
	var more [3][256]uint32
	for len(plane) >= 8 {
		x := binary.LittleEndian.Uint64(plane)
		counts[byte(x)]++
		more[0][byte(x>>8)]++
		more[1][byte(x>>16)]++
		more[2][byte(x>>24)]++
		counts[byte(x>>32)]++
		more[0][byte(x>>40)]++
		more[1][byte(x>>48)]++
		more[2][byte(x>>56)]++
		plane = plane[8:]
	}
	for _, b := range plane {
		counts[b]++
	}
	for i := range counts {
		counts[i] += more[0][i] + more[1][i] + more[2][i]
	}
}
