package ingest

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
)

// The bounds and the default of a plan's segment size, in bytes.
const (
	MinSegmentBytes     = 1 << 20
	MaxSegmentBytes     = 64 << 20
	DefaultSegmentBytes = 8 << 20
)

// NoTensor is the Tensor of a segment whose bytes belong to no tensor: the
// header, padding, gaps, bytes after the last tensor, tensors of unknown type,
// and all of an opaque file.
const NoTensor = -1

// Segment is a bounded piece of a file. A tensor's segments hold whole
// quantization blocks, so each decodes alone.
type Segment struct {
	Tensor  int   // index in File.Tensors, or NoTensor
	Ordinal int   // from 0 within the tensor, or within the file's other bytes
	Offset  int64 // first byte, from the start of the file
	Bytes   int64 // at least 1, at most the plan's segment size
	// First and Count are the segment's elements within its tensor; 0 for NoTensor.
	First, Count int64
}

// End returns the offset of the first byte after the segment.
func (s Segment) End() int64 { return s.Offset + s.Bytes }

// Plan cuts one file into segments: the same ones in the same order each time
// it is made, one after the other from the first byte to the last. It keeps no
// list of them, so a plan of 64 GiB costs what its tensors cost.
type Plan struct {
	file         *File
	segmentBytes int64
	order        []int32 // indexes of the tensors in file order, those that span bytes or start unknown ones
}

// NewPlan plans file in segments of at most segmentBytes (0 means
// DefaultSegmentBytes). It returns ErrOverlap, wrapped, for a File that breaks
// the promise of Tensor.
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
		if t := &file.Tensors[i]; t.Bytes != 0 || t.BlockBytes == 0 && t.Elements > 0 {
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
		if t.Bytes > 0 && (t.BlockBytes <= 0 || t.BlockElements <= 0 || t.Bytes%t.BlockBytes != 0 ||
			t.BlockBytes > p.segmentBytes) {
			return fmt.Errorf("tensor %q: %d bytes are not whole blocks of %d", t.Name, t.Bytes, t.BlockBytes)
		}
		end = t.Offset + t.Bytes
	}
	return nil
}

// SegmentBytes returns the most that a segment of the plan holds.
func (p *Plan) SegmentBytes() int64 { return p.segmentBytes }

// All yields every segment in file order.
func (p *Plan) All() iter.Seq[Segment] { return p.From(0) }

// From yields the segments that begin at or after offset, in file order.
func (p *Plan) From(offset int64) iter.Seq[Segment] {
	return func(yield func(Segment) bool) {
		other := 0 // ordinal of the next segment outside of tensors
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

// between yields the segments of bytes [from, to), which belong to no tensor.
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

// within yields the segments of one tensor, whole blocks each.
func (p *Plan) within(tensor int, start int64, yield func(Segment) bool) bool {
	t := &p.file.Tensors[tensor]
	if t.Bytes == 0 {
		return true
	}
	full := p.segmentBytes / t.BlockBytes * t.BlockBytes
	first := 0
	if start > t.Offset { // straight to the segment that a resumed run begins with
		first = int(pieces(start-t.Offset, full))
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

// pieces returns how many pieces of at most size there are in so many bytes.
func pieces(bytes, size int64) int64 {
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
		n += pieces(t.Offset-at, p.segmentBytes)
		if t.Bytes > 0 {
			n += pieces(t.Bytes, p.segmentBytes/t.BlockBytes*t.BlockBytes)
		}
		at = t.Offset + t.Bytes
	}
	return n + pieces(p.file.Bytes-at, p.segmentBytes)
}

// Digest identifies the plan: two files with the same one are cut alike, into
// tensors of the same names, types and shapes. It says nothing of their content.
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
