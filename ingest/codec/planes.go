package codec

import (
	"encoding/binary"
	"math/bits"
)

// Masks of the bytes and bits of four numbers of 16 bits.
const (
	lowBytes = 0x00ff00ff00ff00ff
	lowBits  = 0x0001000100010001
	low7Bits = 0x007f007f007f007f
)

// gather copies the bytes at to at+width of each element in src to plane.
func (l *layout) gather(plane, src []byte, at, width int) {
	switch {
	case l.rotated && l.stride == 2 && width == 1:
		gatherRotated(plane, src, at)
	case l.rotated && l.stride == 4 && width == 1:
		gather4Rotated(plane, src, at)
	case l.rotated && l.stride == 4 && width == 3:
		gather4LowRotated(plane, src, at)
	case l.rotated:
		gatherWords(plane, src, l.stride, at, width)
	case width == 1:
		for i := range plane {
			plane[i] = src[at]
			at += l.stride
		}
	default:
		for ; len(plane) > 0; plane = plane[width:] {
			copy(plane[:width], src[at:])
			at += l.stride
		}
	}
}

// gatherRotatedGo copies the byte at 0 or 1 of the numbers of 16 bits in src, rotated, to plane.
func gatherRotatedGo(plane, src []byte, at int) {
	for len(plane) >= 8 && len(src) >= 16 {
		a, b := binary.LittleEndian.Uint64(src), binary.LittleEndian.Uint64(src[8:])
		if at == 0 {
			a, b = a&low7Bits<<1|a>>15&lowBits, b&low7Bits<<1|b>>15&lowBits
		} else {
			a, b = a>>7&lowBytes, b>>7&lowBytes
		}
		binary.LittleEndian.PutUint64(plane, uint64(pack(a))|uint64(pack(b))<<32)
		plane, src = plane[8:], src[16:]
	}
	for i := range plane {
		plane[i] = byte(rotate(src[2*i:], 2, 1) >> (8 * at))
	}
}

// pack moves the low bytes of four numbers of 16 bits together.
func pack(x uint64) uint32 {
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16)
}

// unpack is the inverse of pack.
func unpack(x uint32) uint64 {
	wide := (uint64(x) | uint64(x)<<16) & 0x0000ffff0000ffff
	return (wide | wide<<8) & lowBytes
}

// gather4Rotated copies one byte of each number of 32 bits in src, rotated, to plane.
func gather4Rotated(plane, src []byte, at int) {
	src = src[:4*len(plane)]
	for i := range plane {
		word := bits.RotateLeft32(binary.LittleEndian.Uint32(src[4*i:4*i+4]), 1)
		plane[i] = byte(word >> (8 * at & 31))
	}
}

// gather4LowRotated copies three bytes of each number of 32 bits in src, rotated, to plane.
func gather4LowRotated(plane, src []byte, at int) {
	for ; len(plane) >= 4 && len(src) >= 4; plane, src = plane[3:], src[4:] {
		word := bits.RotateLeft32(binary.LittleEndian.Uint32(src), 1)
		binary.LittleEndian.PutUint32(plane, word>>(8*at&31)) // the next number overwrites the excess
	}
	gatherWords(plane, src, 4, at, 3)
}

// gatherWords is gather for rotated elements of 2, 4 or 8 bytes.
func gatherWords(plane, src []byte, stride, at, width int) {
	for len(plane) > 0 {
		word := rotate(src, stride, 1) >> (8 * at)
		if len(plane) >= 8 {
			binary.LittleEndian.PutUint64(plane, word) // the next element overwrites the excess
		} else {
			for i := range width {
				plane[i] = byte(word >> (8 * i))
			}
		}
		plane, src = plane[width:], src[stride:]
	}
}

// rotate returns the first number of 2, 4 or 8 bytes, rotated left by k bits.
func rotate(src []byte, size, k int) uint64 {
	switch size {
	case 2:
		return uint64(bits.RotateLeft16(binary.LittleEndian.Uint16(src), k))
	case 4:
		return uint64(bits.RotateLeft32(binary.LittleEndian.Uint32(src), k))
	default:
		return bits.RotateLeft64(binary.LittleEndian.Uint64(src), k)
	}
}

// join is the inverse of gather for all planes of a chunk.
func (l *layout) join(into []byte, planes [][]byte) {
	widths := l.widths[:l.fields]
	switch {
	case l.rotated && l.stride == 2 && len(widths) == 2:
		join2Rotated(into, planes[0], planes[1])
		return
	case l.rotated && l.stride == 4 && len(widths) == 2 && widths[0] == 3:
		join4Rotated(into, planes[0], planes[1])
		return
	}
	at := 0
	for i, width := range widths {
		scatter(into[at:], planes[i], l.stride, int(width))
		at += int(width)
	}
	if l.rotated {
		rotateAll(into, l.stride, -1)
	}
}

// join2RotatedGo joins rotated numbers of 16 bits.
func join2RotatedGo(into, low, high []byte) {
	for len(into) >= 16 && len(low) >= 8 && len(high) >= 8 {
		l, h := binary.LittleEndian.Uint64(low), binary.LittleEndian.Uint64(high)
		a, b := unpack(uint32(l)), unpack(uint32(l>>32))
		a, b = a>>1&low7Bits|a&lowBits<<15, b>>1&low7Bits|b&lowBits<<15
		binary.LittleEndian.PutUint64(into, a|unpack(uint32(h))<<7)
		binary.LittleEndian.PutUint64(into[8:], b|unpack(uint32(h>>32))<<7)
		into, low, high = into[16:], low[8:], high[8:]
	}
	for i := range low {
		word := uint16(low[i]) | uint16(high[i])<<8
		binary.LittleEndian.PutUint16(into[2*i:], bits.RotateLeft16(word, -1))
	}
}

// join4Rotated joins rotated numbers of 32 bits from their lower three bytes and the highest one.
func join4Rotated(into, low, high []byte) {
	for ; len(low) >= 4 && len(into) >= 4 && len(high) >= 1; into, low, high = into[4:], low[3:], high[1:] {
		word := binary.LittleEndian.Uint32(low)&0xffffff | uint32(high[0])<<24
		binary.LittleEndian.PutUint32(into, bits.RotateLeft32(word, -1))
	}
	for ; len(low) > 0; into, low, high = into[4:], low[3:], high[1:] {
		word := uint32(low[0]) | uint32(low[1])<<8 | uint32(low[2])<<16 | uint32(high[0])<<24
		binary.LittleEndian.PutUint32(into, bits.RotateLeft32(word, -1))
	}
}

// scatter copies plane, width bytes at a time, to the starts of elements in into.
func scatter(into, plane []byte, stride, width int) {
	switch width {
	case stride:
		copy(into, plane)
	case 1:
		at := 0
		for _, value := range plane {
			into[at] = value
			at += stride
		}
	default:
		for at := 0; len(plane) > 0; at += stride {
			copy(into[at:], plane[:width])
			plane = plane[width:]
		}
	}
}

// rotateAll rotates each number of 2, 4 or 8 bytes left by k bits.
func rotateAll(numbers []byte, size, k int) {
	for ; len(numbers) > 0; numbers = numbers[size:] {
		word := rotate(numbers, size, k)
		for i := range size {
			numbers[i] = byte(word >> (8 * i))
		}
	}
}
