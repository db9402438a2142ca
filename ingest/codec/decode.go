package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/zstd"
)

var errSize = errors.New("size differs")

// Decoder decodes payloads, one at a time. It keeps at most DecoderBytes.
type Decoder struct {
	scratch [maxChunk]byte // the decoded planes of a chunk
	planes  [maxFields][]byte
	tree    tree
	table   table
	zstd    *zstd.Decoder // nil before its first use
}

// NewDecoder returns a Decoder.
func NewDecoder() *Decoder { return &Decoder{} }

// Decode decodes encoded into into, whose length must be the original size. If encoded is damaged,
// the error is ErrCorrupt, wrapped, with the place, and the content of into is undefined. Decode does
// not allocate after its first calls, also if encoded claims large sizes.
func (d *Decoder) Decode(into, encoded []byte) error {
	var h header
	chunks, err := h.read(encoded)
	if err != nil {
		return err
	}
	if h.length != int64(len(into)) {
		return corrupt("the original has %d bytes according to the header, want %d", h.length, len(into))
	}
	each := h.stride * h.elements
	sum := uint32(0)
	for number, rest := 0, into[:len(into)-len(h.tail)]; len(rest) > 0; number++ {
		chunk := rest[:min(each, len(rest))]
		if chunks, err = d.chunk(chunk, chunks, &h.layout); err != nil {
			from := number * each
			return corrupt("chunk %d, bytes %d to %d of the original: %v", number, from, from+len(chunk), err)
		}
		sum = crc32.Update(sum, castagnoli, chunk)
		rest = rest[len(chunk):]
	}
	if len(chunks) > 0 {
		return corrupt("%d bytes follow the last chunk", len(chunks))
	}
	copy(into[len(into)-len(h.tail):], h.tail)
	if crc32.Update(sum, castagnoli, h.tail) != h.checksum {
		return corrupt("checksum of the original differs")
	}
	return nil
}

// chunk decodes the first of chunks into into and returns the others.
func (d *Decoder) chunk(into, chunks []byte, l *layout) (rest []byte, err error) {
	start := l.chunkBytes()
	if len(chunks) < start {
		return nil, errors.New("it is cut off")
	}
	end := start
	for i := range l.fields {
		size := int(binary.LittleEndian.Uint32(chunks[description*i:]) >> 8)
		if size > len(chunks)-end {
			return nil, errors.New("it is cut off")
		}
		end += size
	}
	sum := crc32.Checksum(chunks[:start-checksum], castagnoli)
	if crc32.Update(sum, castagnoli, chunks[start:end]) != binary.LittleEndian.Uint32(chunks[start-checksum:]) {
		return nil, errors.New("checksum differs")
	}
	elements, stored, scratch := len(into)/l.stride, chunks[start:end], d.scratch[:]
	for i := range l.fields {
		word := binary.LittleEndian.Uint32(chunks[description*i:])
		size, n := int(word>>8), elements*int(l.widths[i])
		plane := scratch[:n]
		if l.fields == 1 {
			plane = into
		}
		if d.planes[i], err = d.plane(plane, stored[:size], byte(word)); err != nil {
			return nil, fmt.Errorf("plane %d: %w", i, err)
		}
		stored, scratch = stored[size:], scratch[n:]
	}
	l.join(into, d.planes[:l.fields])
	return chunks[end:], nil
}

// plane decodes a plane. It returns into, or stored if it is the plane itself.
func (d *Decoder) plane(into, stored []byte, method byte) ([]byte, error) {
	switch method {
	case methodRaw:
		if len(stored) != len(into) {
			return nil, errSize
		}
		return stored, nil
	case methodRun:
		if len(stored) != 1 {
			return nil, errSize
		}
		for i := range into {
			into[i] = stored[0]
		}
		return into, nil
	case methodHuffman:
		streams, err := d.tree.read(stored)
		if err != nil {
			return nil, err
		}
		d.table.set(&d.tree)
		return into, d.table.decode(into, streams)
	case methodZstd:
		if d.zstd == nil {
			d.zstd = newZstdDecoder()
		}
		out, err := d.zstd.DecodeAll(stored, into[:0:len(into)])
		if err == nil && len(out) != len(into) {
			err = errSize
		}
		return out, err
	default:
		return nil, fmt.Errorf("unknown method %d", method)
	}
}
