package codec

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Offsets and sizes in a header. README.md describes them.
const (
	magic       = "planes\x01" // with the version
	flagsAt     = 7
	lengthAt    = 8
	checksumAt  = 16
	elementsAt  = 20
	strideAt    = 24
	rotatedAt   = 26
	fieldsAt    = 27
	widthsAt    = 28
	checksum    = 4 // bytes of a CRC-32C
	description = 4 // bytes that a chunk has for each plane, before its checksum
)

const (
	maxStride = 1024
	maxFields = 64
	maxChunk  = 1 << 20 // original bytes
)

const flagBase = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// layout divides a payload. Its elements have stride bytes each. Their fields have widths. If they
// are rotated, each element is first rotated left by one bit as a little-endian number.
type layout struct {
	stride, elements int // elements of a chunk
	rotated          bool
	fields           int
	widths           [maxFields]uint16
}

// header is what precedes the chunks.
type header struct {
	layout
	length   int64
	checksum uint32 // of the original bytes
	tail     []byte // after the last whole element
}

func (l *layout) headerBytes(length int) int {
	return widthsAt + 2*l.fields + length%l.stride + checksum
}

// write writes h to into, which has headerBytes.
func (h *header) write(into []byte) {
	clear(into[:widthsAt])
	copy(into, magic)
	binary.LittleEndian.PutUint64(into[lengthAt:], uint64(h.length))
	binary.LittleEndian.PutUint32(into[checksumAt:], h.checksum)
	binary.LittleEndian.PutUint32(into[elementsAt:], uint32(h.elements))
	binary.LittleEndian.PutUint16(into[strideAt:], uint16(h.stride))
	if h.rotated {
		into[rotatedAt] = 1
	}
	into[fieldsAt] = byte(h.fields)
	for i, width := range h.widths[:h.fields] {
		binary.LittleEndian.PutUint16(into[widthsAt+2*i:], width)
	}
	end := copy(into[widthsAt+2*h.fields:], h.tail) + widthsAt + 2*h.fields
	binary.LittleEndian.PutUint32(into[end:], crc32.Checksum(into[:end], castagnoli))
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// read reads and checks the header of encoded and returns the chunks.
func (h *header) read(encoded []byte) (chunks []byte, err error) {
	switch {
	case len(encoded) < widthsAt:
		return nil, corrupt("%d bytes are less than a header", len(encoded))
	case string(encoded[:len(magic)]) != magic:
		return nil, corrupt("it starts with %q", encoded[:len(magic)])
	case encoded[flagsAt]&flagBase != 0:
		return nil, corrupt("it is a difference to another payload, which this version does not support")
	case encoded[flagsAt] != 0:
		return nil, corrupt("unknown flags %#x", encoded[flagsAt])
	}
	length := binary.LittleEndian.Uint64(encoded[lengthAt:])
	elements := binary.LittleEndian.Uint32(encoded[elementsAt:])
	h.checksum = binary.LittleEndian.Uint32(encoded[checksumAt:])
	h.stride = int(binary.LittleEndian.Uint16(encoded[strideAt:]))
	h.rotated = encoded[rotatedAt] == 1
	h.fields = int(encoded[fieldsAt])
	if h.stride < 1 || h.stride > maxStride || h.fields < 1 || h.fields > maxFields || encoded[rotatedAt] > 1 ||
		elements < 1 || elements > uint32(maxChunk/h.stride) || length > 1<<62 ||
		h.rotated && h.stride != 2 && h.stride != 4 && h.stride != 8 {
		return nil, corrupt("header out of range")
	}
	h.length, h.elements = int64(length), int(elements)
	end := widthsAt + 2*h.fields + int(length%uint64(h.stride))
	if len(encoded) < end+checksum {
		return nil, corrupt("%d bytes are less than its header", len(encoded))
	}
	if crc32.Checksum(encoded[:end], castagnoli) != binary.LittleEndian.Uint32(encoded[end:]) {
		return nil, corrupt("checksum of the header differs")
	}
	sum := 0
	for i := range h.fields {
		h.widths[i] = binary.LittleEndian.Uint16(encoded[widthsAt+2*i:])
		if h.widths[i] == 0 {
			return nil, corrupt("field %d is empty", i)
		}
		sum += int(h.widths[i])
	}
	if sum != h.stride {
		return nil, corrupt("fields of %d bytes in elements of %d", sum, h.stride)
	}
	h.tail, chunks = encoded[widthsAt+2*h.fields:end], encoded[end+checksum:]
	each := int64(h.stride * h.elements)
	if count := (h.length - int64(len(h.tail)) + each - 1) / each; count > int64(len(chunks)/h.chunkBytes()) {
		return nil, corrupt("%d bytes are less than %d chunks", len(chunks), count)
	}
	return chunks, nil
}

// chunkBytes is the size of what precedes the planes of a chunk.
func (l *layout) chunkBytes() int { return description*l.fields + checksum }

// Size returns the original size of an encoded payload, as its header has it. It checks the header,
// and that encoded has room for the chunks of so many bytes.
func Size(encoded []byte) (int64, error) {
	var h header
	_, err := h.read(encoded)
	return h.length, err
}
