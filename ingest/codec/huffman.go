package codec

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/klauspost/compress/fse"
)

const (
	maxCodeBits = 11        // of RFC 8878
	minHuffman  = 256       // bytes of a plane: a smaller one is not Huffman-coded
	mostPlane   = 256 << 10 // bytes of a plane whose streams' sizes fit 16 bits if they save anything
	maxAccuracy = 6         // of weights, RFC 8878
	jumpBytes   = 6         // the sizes of the first three streams
)

var (
	errTree   = errors.New("invalid Huffman tree")
	errStream = errors.New("invalid Huffman stream")
)

// tree is a Huffman code: the weights of the symbols, as in RFC 8878, 4.2.1.
type tree struct {
	weights [256]byte
	symbols int  // the weights in use
	bits    uint // of the longest code
	fse     fse.Scratch
}

// read reads the description of a tree and returns the bytes after it.
func (t *tree) read(in []byte) (rest []byte, err error) {
	if len(in) == 0 {
		return nil, errTree
	}
	size := int(in[0])
	in = in[1:]
	if size >= 128 {
		t.symbols = size - 127
		if size = (t.symbols + 1) / 2; size > len(in) {
			return nil, errTree
		}
		for i := range t.symbols {
			t.weights[i] = in[i/2] >> (4 * (1 - i%2)) & 15
		}
	} else {
		if size == 0 || size > len(in) || in[0]&15 > maxAccuracy-5 {
			return nil, errTree
		}
		t.fse.Out, t.fse.DecompressLimit = t.weights[:0], len(t.weights)-1
		weights, err := fse.Decompress(in[:size], &t.fse)
		t.fse.Out = nil
		if err != nil || len(weights) >= len(t.weights) {
			return nil, errTree
		}
		t.symbols = copy(t.weights[:], weights)
	}
	return in[size:], t.complete()
}

// complete computes the weight of the last symbol: it makes the sum a power of two.
func (t *tree) complete() error {
	sum := uint(0)
	for _, weight := range t.weights[:t.symbols] {
		if weight > maxCodeBits {
			return errTree
		}
		sum += 1 << weight >> 1
	}
	t.bits = uint(bits.Len(sum))
	rest := uint(1)<<t.bits - sum
	if sum == 0 || t.bits > maxCodeBits || rest&(rest-1) != 0 {
		return errTree
	}
	t.weights[t.symbols] = byte(bits.Len(rest))
	t.symbols++
	return nil
}

// starts returns the first code of each weight, with all codes extended to t.bits.
func (t *tree) starts() (starts [maxCodeBits + 2]uint) {
	var count [maxCodeBits + 2]uint
	for _, weight := range t.weights[:t.symbols] {
		count[weight]++
	}
	for weight := uint(1); weight <= t.bits; weight++ {
		starts[weight+1] = starts[weight] + count[weight]<<(weight-1)
	}
	return starts
}

// codes are the codes of the symbols for an encoder: the number of bits in the upper half, the code
// in the lower.
type codes [256]uint32

func (c *codes) set(t *tree) {
	*c = codes{}
	next := t.starts()
	for symbol, weight := range t.weights[:t.symbols] {
		if weight > 0 {
			c[symbol] = uint32(t.bits+1-uint(weight))<<16 | uint32(next[weight]>>(weight-1))
			next[weight] += 1 << (weight - 1)
		}
	}
}

// bits returns how many bits symbols with these counts take. ok is false if a symbol has no code.
func (c *codes) bits(counts *[256]uint32) (n int, ok bool) {
	for symbol, count := range counts {
		if count > 0 && c[symbol] == 0 {
			return 0, false
		}
		n += int(count) * int(c[symbol]>>16)
	}
	return n, true
}

// huffmanSlack is how many bytes encode may write beyond the streams.
const huffmanSlack = jumpBytes + 4 + 8

// encode writes plane as four streams, RFC 8878, 4.2.2, and returns their size. into must have
// room for the bits of plane and huffmanSlack. ok is false if a stream is too large for its length.
func (c *codes) encode(into, plane []byte) (size int, ok bool) {
	part := (len(plane) + 3) / 4
	size = jumpBytes
	for i := range 4 {
		n := c.encodeStream(into[size:], plane[:min(part, len(plane))])
		plane = plane[min(part, len(plane)):]
		if n >= 1<<16 {
			return 0, false
		}
		if i < 3 {
			binary.LittleEndian.PutUint16(into[2*i:], uint16(n))
		}
		size += n
	}
	return size, true
}

// encodeStream writes the symbols from the last to the first, and a final 1.
func (c *codes) encodeStream(into, symbols []byte) int {
	var acc uint64
	var n uint32 // bits in acc: less than 8 after each store
	at := 0
	for len(symbols)%4 != 0 {
		code := c[symbols[len(symbols)-1]]
		symbols = symbols[:len(symbols)-1]
		acc |= uint64(uint16(code)) << n
		n += code >> 16
		binary.LittleEndian.PutUint64(into[at:], acc)
		at += int(n >> 3)
		acc >>= n &^ 7 & 63
		n &= 7
	}
	for end := len(symbols); end >= 4; end -= 4 {
		four := symbols[end-4 : end : end]
		c3, c2, c1, c0 := c[four[3]], c[four[2]], c[four[1]], c[four[0]]
		n3 := c3 >> 16
		n1 := c1 >> 16
		high := uint64(uint16(c3)) | uint64(uint16(c2))<<(n3&63)
		low := uint64(uint16(c1)) | uint64(uint16(c0))<<(n1&63)
		n3 += c2 >> 16
		n1 += c0 >> 16
		acc |= (high | low<<(n3&63)) << (n & 63)
		n += n3 + n1
		binary.LittleEndian.PutUint64(into[at:], acc)
		at += int(n >> 3)
		acc >>= n &^ 7 & 63
		n &= 7
	}
	acc |= 1 << n
	into[at] = byte(acc)
	return at + 1
}
