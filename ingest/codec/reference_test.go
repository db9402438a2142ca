package codec_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/klauspost/compress/zstd"
)

// This decoder follows README.md and RFC 8878 and shares no code with the package. It is slow and
// simple. Only frames of Zstandard are decoded by a library.

// refuse ends the decoding; decodeReference turns it into an error.
type refuse string

func check(ok bool, reason string) {
	if !ok {
		panic(refuse(reason))
	}
}

func checksumOf(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

// cursor reads bytes forwards.
type cursor []byte

func (c *cursor) take(n int) []byte {
	check(n >= 0 && n <= len(*c), "cut off")
	taken := (*c)[:n]
	*c = (*c)[n:]
	return taken
}

func (c *cursor) number(n int) int {
	var wide [8]byte
	copy(wide[:], c.take(n))
	return int(binary.LittleEndian.Uint64(wide[:]))
}

func decodeReference(encoded []byte, length int) (original []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			reason, ok := r.(refuse)
			if !ok {
				panic(r)
			}
			original, err = nil, fmt.Errorf("%s", reason)
		}
	}()
	in := cursor(encoded)
	check(string(in.take(6)) == "planes", "magic")
	check(in.number(1) == 1, "version")
	check(in.number(1) == 0, "flags")
	check(in.number(8) == length, "length")
	sum, each, size, rotated, fields := in.number(4), in.number(4), in.number(2), in.number(1), in.number(1)
	check(size >= 1 && size <= 1024 && fields >= 1 && fields <= 64 && rotated <= 1, "range")
	check(each >= 1 && each*size <= 1<<20, "chunk")
	check(rotated == 0 || size == 2 || size == 4 || size == 8, "rotated")
	widths, total := make([]int, fields), 0
	for i := range widths {
		widths[i] = in.number(2)
		check(widths[i] > 0, "width")
		total += widths[i]
	}
	check(total == size, "widths")
	tail := in.take(length % size)
	check(int(checksumOf(encoded[:len(encoded)-len(in)])) == in.number(4), "checksum of the header")
	for left := length / size; left > 0; left -= min(left, each) {
		chunk := make([]byte, min(left, each)*size)
		chunkReference(chunk, &in, widths, size, rotated == 1)
		original = append(original, chunk...)
	}
	check(len(in) == 0, "trailing bytes")
	original = append(original, tail...)
	check(int(checksumOf(original)) == sum, "checksum")
	return original, nil
}

func chunkReference(chunk []byte, in *cursor, widths []int, size int, rotated bool) {
	head := in.take(4 * len(widths))
	sum, stored := in.number(4), *in
	at, all := 0, 0
	for i, width := range widths {
		method, n := head[4*i], int(head[4*i+1])|int(head[4*i+2])<<8|int(head[4*i+3])<<16
		plane := planeReference(method, in.take(n), len(chunk)/size*width)
		for j, b := range plane {
			chunk[j/width*size+at+j%width] = b
		}
		at, all = at+width, all+n
	}
	check(int(checksumOf(append(bytes.Clone(head), stored[:all]...))) == sum, "checksum of a chunk")
	for element := chunk; rotated && len(element) > 0; element = element[size:] {
		low := element[0] & 1
		for i := range size - 1 {
			element[i] = element[i]>>1 | element[i+1]<<7
		}
		element[size-1] = element[size-1]>>1 | low<<7
	}
}

func planeReference(method byte, stored []byte, size int) []byte {
	switch method {
	case 0:
		check(len(stored) == size, "size")
		return stored
	case 1:
		check(len(stored) == 1, "size")
		return bytes.Repeat(stored, size)
	case 2:
		check(size >= 256, "size")
		return huffmanReference(cursor(stored), size)
	case 3:
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(1<<20), zstd.WithDecoderMaxWindow(1<<20))
		check(err == nil, "options")
		defer decoder.Close()
		plane, err := decoder.DecodeAll(stored, nil)
		check(err == nil && len(plane) == size, "zstd")
		return plane
	}
	panic(refuse("method"))
}

// code is a Huffman code.
type code struct{ length, bits int }

func huffmanReference(in cursor, size int) (plane []byte) {
	symbols := codesReference(weightsReference(&in))
	sizes := [4]int{in.number(2), in.number(2), in.number(2)}
	sizes[3] = len(in) - sizes[0] - sizes[1] - sizes[2]
	part := (size + 3) / 4
	for i, n := range sizes {
		stream, end := backwards(in.take(n)), len(plane)+part
		if i == 3 {
			end = size
		}
		for len(plane) < end {
			c := code{}
			symbol, ok := byte(0), false
			for !ok {
				check(c.length < 11, "no such code")
				c = code{c.length + 1, c.bits<<1 | stream.read(1)}
				symbol, ok = symbols[c]
			}
			plane = append(plane, symbol)
		}
		check(stream.left == 0, "stream is too long")
	}
	return plane
}

// weightsReference returns the weights of all symbols.
func weightsReference(in *cursor) (weights []int) {
	if head := in.number(1); head >= 128 {
		packed := in.take((head - 127 + 1) / 2)
		for i := range head - 127 {
			weights = append(weights, int(packed[i/2]>>(4-4*(i%2))&15))
		}
	} else {
		weights = fseReference(in.take(head))
	}
	sum := 0
	for _, w := range weights {
		check(w <= 11, "weight")
		sum += 1 << w >> 1
	}
	check(sum > 0, "no weights")
	rest := 1<<bits.Len(uint(sum)) - sum
	check(rest&(rest-1) == 0 && bits.Len(uint(sum)) <= 11, "sum of the weights")
	return append(weights, bits.Len(uint(rest)))
}

func codesReference(weights []int) map[code]byte {
	codes, longest, sum := map[code]byte{}, 0, 0
	for _, w := range weights {
		sum += 1 << w >> 1
	}
	longest = bits.Len(uint(sum)) - 1
	next := code{longest, 0}
	for weight := 1; weight <= longest; weight++ {
		for symbol, w := range weights {
			if w == weight {
				shorter := next.length - (longest + 1 - w)
				next = code{next.length - shorter, next.bits >> shorter}
				codes[next] = byte(symbol)
				next.bits++
			}
		}
	}
	return codes
}

// fseReference decodes weights, RFC 8878, 4.2.1.2.
func fseReference(in []byte) (weights []int) {
	forward := &bitsForward{in: in}
	accuracy := forward.read(4) + 5
	check(accuracy <= 6, "accuracy")
	var counts []int
	for remaining := 1 << accuracy; remaining > 0; { // RFC 8878, 4.1.1
		width := bits.Len(uint(remaining + 1))
		low := 1<<width - 1 - (remaining + 1)
		value := forward.read(width - 1)
		if value >= low {
			if value += forward.read(1) << (width - 1); value >= 1<<(width-1) {
				value -= low
			}
		}
		count := value - 1
		counts = append(counts, count)
		remaining -= max(count, -count)
		check(remaining >= 0, "probabilities")
		for repeat := 3; count == 0 && repeat == 3; {
			repeat = forward.read(2)
			counts = append(counts, make([]int, repeat)...)
		}
		check(len(counts) <= 256, "too many probabilities")
	}
	table := tableReference(counts, 1<<accuracy)
	stream := backwards(in[(forward.at+7)/8:])
	states := [2]int{stream.read(accuracy), stream.read(accuracy)}
	for i := 0; ; i = 1 - i {
		check(len(weights) < 254, "too many weights")
		entry := table[states[i]]
		weights = append(weights, entry.symbol)
		if stream.left < entry.bits { // the last two weights are those of the states
			return append(weights, table[states[1-i]].symbol)
		}
		states[i] = entry.base + stream.read(entry.bits)
	}
}

type fseEntry struct{ symbol, bits, base int }

// tableReference follows RFC 8878, 4.1.1, "From Normalized Distribution to Decoding Tables".
func tableReference(counts []int, size int) []fseEntry {
	table, high := make([]fseEntry, size), size-1
	next := make([]int, len(counts))
	for symbol, count := range counts {
		if next[symbol] = count; count == -1 {
			table[high].symbol = symbol
			next[symbol] = 1
			high--
		}
	}
	at := 0
	for symbol, count := range counts {
		for range count {
			table[at].symbol = symbol
			for at = (at + size/2 + size/8 + 3) % size; at > high; {
				at = (at + size/2 + size/8 + 3) % size
			}
		}
	}
	check(at == 0, "spread of the symbols")
	for i := range table {
		entry := &table[i]
		state := next[entry.symbol]
		next[entry.symbol]++
		entry.bits = bits.Len(uint(size)) - bits.Len(uint(state))
		entry.base = state<<entry.bits - size
	}
	return table
}

// bitsForward reads bits from the lowest of the first byte on.
type bitsForward struct {
	in []byte
	at int
}

func (b *bitsForward) read(n int) (value int) {
	for i := range n {
		check(b.at < 8*len(b.in), "probabilities are cut off")
		value |= int(b.in[b.at/8]>>(b.at%8)&1) << i
		b.at++
	}
	return value
}

// bitsBackwards reads bits from the end to the start.
type bitsBackwards struct {
	in   []byte
	left int
}

func backwards(in []byte) *bitsBackwards {
	check(len(in) > 0 && in[len(in)-1] != 0, "no end of the stream")
	return &bitsBackwards{in, 8*(len(in)-1) + bits.Len8(in[len(in)-1]) - 1}
}

func (b *bitsBackwards) read(n int) (value int) {
	check(b.left >= n, "stream is cut off")
	for range n {
		b.left--
		value = value<<1 | int(b.in[b.left/8]>>(b.left%8)&1)
	}
	return value
}
