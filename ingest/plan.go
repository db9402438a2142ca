package ingest

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
)

// The limits and the default of the segment size, in bytes.
const (
	MinSegmentBytes     = 1 << 20
	MaxSegmentBytes     = 64 << 20
	DefaultSegmentBytes = 8 << 20
)

// NoTensor is the Tensor of segments outside all tensors: header, padding, gaps, trailing bytes,
// and the whole of an opaque file.
const NoTensor = -1

// Segment is a bounded run of bytes of a file. A tensor's segments hold whole quantization blocks,
// so each can be decoded alone.
type Segment struct {
	Tensor  int   // index in File.Tensors, or NoTensor
	Ordinal int   // from 0 within the tensor, or within the bytes outside all tensors
	Offset  int64 // first byte, from the start of the file
	Bytes   int64 // at least 1, at most the plan's segment size
	// First and Count are the segment's elements within its tensor; 0 for NoTensor and for an unknown
	// type.
	First, Count int64
}

// End returns the offset of the first byte after the segment.
func (s Segment) End() int64 { return s.Offset + s.Bytes }

// Plan divides a file into segments. It is deterministic, and the segments cover the file exactly.
// They are computed, not stored, so the memory of a plan depends on the number of tensors only.
type Plan struct {
	file         *File
	segmentBytes int64
	order        []int32 // indexes of the tensors in file order, except those without elements
}

// NewPlan plans file in segments of at most segmentBytes bytes (0 means DefaultSegmentBytes). If
// tensors overlap or extend beyond the file, the error is ErrOverlap, wrapped.
func NewPlan(file *File, segmentBytes int64) (*Plan, error) {
	if segmentBytes == 0 {
		segmentBytes = DefaultSegmentBytes
	}
	if segmentBytes < MinSegmentBytes || segmentBytes > MaxSegmentBytes {
		return nil, fmt.Errorf("segment size of %d bytes: want %d to %d", segmentBytes, MinSegmentBytes,
			MaxSegmentBytes)
	}
	p := &Plan{file: file, segmentBytes: segmentBytes}
	for i := range file.Tensors {
		if file.Tensors[i].Bytes != 0 {
			p.order = append(p.order, int32(i))
		}
	}
	slices.SortStableFunc(p.order, func(a, b int32) int {
		ta, tb := &file.Tensors[a], &file.Tensors[b]
		return cmp.Or(cmp.Compare(ta.Offset, tb.Offset), cmp.Compare(ta.Bytes, tb.Bytes))
	})
	return p, p.check()
}

func (p *Plan) check() error {
	if p.file.Bytes < 0 {
		return fmt.Errorf("file of %d bytes", p.file.Bytes)
	}
	end := int64(0)
	for _, i := range p.order {
		t := &p.file.Tensors[i]
		if t.Offset < end || t.Bytes < 0 || t.Offset > p.file.Bytes-t.Bytes {
			return fmt.Errorf("tensor %q at offset %d, %d bytes, after byte %d of %d: %w",
				t.Name, t.Offset, t.Bytes, end, p.file.Bytes, ErrOverlap)
		}
		if t.Bytes > 0 && (t.BlockBytes <= 0 || t.BlockElements < 0 || t.Bytes%t.BlockBytes != 0 ||
			t.BlockBytes > p.segmentBytes) {
			return fmt.Errorf("tensor %q: %d bytes are not whole blocks of %d", t.Name, t.Bytes, t.BlockBytes)
		}
		end = t.Offset + t.Bytes
	}
	return nil
}

// SegmentBytes returns the maximum size of a segment.
func (p *Plan) SegmentBytes() int64 { return p.segmentBytes }

// All yields every segment in file order.
func (p *Plan) All() iter.Seq[Segment] { return p.From(0) }

// From yields the segments that start at or after offset, in file order.
func (p *Plan) From(offset int64) iter.Seq[Segment] {
	return func(yield func(Segment) bool) {
		other := 0 // ordinal of the next segment outside all tensors
		at := int64(0)
		for _, i := range p.order {
			t := &p.file.Tensors[i]
			if !p.between(at, t.Offset, &other, offset, yield) || !p.within(int(i), offset, yield) {
				return
			}
			at = t.Offset + t.Bytes
		}
		p.between(at, p.file.Bytes, &other, offset, yield)
	}
}

// between yields the segments of bytes [from, to), which are outside all tensors.
func (p *Plan) between(from, to int64, ordinal *int, start int64, yield func(Segment) bool) bool {
	for from < to {
		n := min(p.segmentBytes, to-from)
		if from >= start && !yield(Segment{Tensor: NoTensor, Ordinal: *ordinal, Offset: from, Bytes: n}) {
			return false
		}
		*ordinal++
		from += n
	}
	return true
}

// within yields the segments of one tensor.
func (p *Plan) within(tensor int, start int64, yield func(Segment) bool) bool {
	t := &p.file.Tensors[tensor]
	if t.Bytes == 0 {
		return true
	}
	full := p.segmentBytes / t.BlockBytes * t.BlockBytes
	first := 0
	if start > t.Offset {
		first = int(divideUp(start-t.Offset, full))
	}
	for ordinal := first; int64(ordinal)*full < t.Bytes; ordinal++ {
		at := int64(ordinal) * full
		n := min(full, t.Bytes-at)
		s := Segment{Tensor: tensor, Ordinal: ordinal, Offset: t.Offset + at, Bytes: n,
			First: at / t.BlockBytes * t.BlockElements, Count: n / t.BlockBytes * t.BlockElements}
		if !yield(s) {
			return false
		}
	}
	return true
}

// divideUp returns bytes/size, rounded up. bytes+size-1 could overflow.
func divideUp(bytes, size int64) int64 {
	n := bytes / size
	if bytes%size > 0 {
		n++
	}
	return n
}

// Count returns the number of segments.
func (p *Plan) Count() int64 {
	n, at := int64(0), int64(0)
	for _, i := range p.order {
		t := &p.file.Tensors[i]
		n += divideUp(t.Offset-at, p.segmentBytes)
		if t.Bytes > 0 {
			n += divideUp(t.Bytes, p.segmentBytes/t.BlockBytes*t.BlockBytes)
		}
		at = t.Offset + t.Bytes
	}
	return n + divideUp(p.file.Bytes-at, p.segmentBytes)
}

// Digest identifies the plan. Two files with the same one have the same segments and the same
// names, types and shapes of tensors. It does not depend on their content.
func (p *Plan) Digest() Digest {
	h := sha256.New()
	number := func(v int64) { _ = binary.Write(h, binary.LittleEndian, v) } // a hash does not fail
	number(p.segmentBytes)
	number(p.file.Bytes)
	number(int64(len(p.file.Tensors)))
	for i := range p.file.Tensors {
		t := &p.file.Tensors[i]
		fmt.Fprintf(h, "%q %q %v ", t.Name, t.Type, t.Shape)
		number(t.Offset)
		number(t.Bytes)
	}
	return Digest(h.Sum(nil))
}
