package gguftest

import (
	"io"
	"sort"
)

// layout is a File with computed offsets.
type layout struct {
	header  []byte
	regions []region // in file order
	size    int64
}

// region is a run of bytes after the header. The bytes between regions are zeros.
type region struct {
	offset, size int64
	data         []byte // if not nil
	seed         uint64
	zero         bool
}

func roundUp(n, alignment int64) int64 { return (n + alignment - 1) / alignment * alignment }

// layout computes the offsets of the tensors and builds the header.
func (f File) layout() layout {
	alignment := int64(f.Alignment)
	if alignment == 0 {
		alignment = 32
	}
	offsets, end := f.offsets(alignment)
	l := layout{header: f.header(offsets)}
	start := roundUp(int64(len(l.header)), alignment)
	for _, i := range f.order() {
		t := f.Tensors[i]
		r := region{offset: start + offsets[i], size: t.Size(), data: t.Data, seed: t.Seed, zero: t.Zero}
		if r.seed == 0 {
			r.seed = seedOf(f.Seed, t.Name)
		}
		l.regions = append(l.regions, r)
	}
	switch {
	case !f.Unpadded:
		l.size = start + roundUp(end, alignment)
	case end > 0:
		l.size = start + end
	default:
		l.size = int64(len(l.header))
	}
	if l.size > int64(len(l.header)) {
		l.header = append(l.header, make([]byte, start-int64(len(l.header)))...)
	}
	if len(f.Trailing) > 0 {
		l.regions = append(l.regions, region{offset: l.size, size: int64(len(f.Trailing)), data: f.Trailing})
		l.size += int64(len(f.Trailing))
	}
	return l
}

// offsets returns the start of each tensor's data and the end of the last, relative to the start of
// the data.
func (f File) offsets(alignment int64) (offsets []int64, end int64) {
	offsets = make([]int64, len(f.Tensors))
	for _, i := range f.order() {
		t := f.Tensors[i]
		offsets[i] = roundUp(end, alignment) + roundUp(t.Gap, alignment)
		end = offsets[i] + t.Size()
	}
	return offsets, end
}

// order returns the indexes of the tensors in the order of their data.
func (f File) order() []int {
	if f.Order != nil {
		return f.Order
	}
	order := make([]int, len(f.Tensors))
	for i := range order {
		order[i] = i
	}
	return order
}

// header builds the header without padding.
func (f File) header(offsets []int64) []byte {
	if f.Version == 0 {
		f.Version = 3
	}
	kvs := f.KVs
	if f.Alignment != 0 {
		kvs = append(kvs[:len(kvs):len(kvs)], KV{"general.alignment", f.Alignment})
	}
	r := Raw{BigEndian: f.BigEndian, Short: f.Version == 1}
	r.Start(f.Version, uint64(len(f.Tensors)), uint64(len(kvs)))
	for _, kv := range kvs {
		r.KV(kv.Key, kv.Value)
	}
	for i, t := range f.Tensors {
		r.Tensor(t.Name, t.Shape, t.Type, uint64(offsets[i]))
	}
	return r.Bytes
}

// ReaderAt returns a reader that computes the bytes of the file. It stores only the header, and is
// safe for concurrent use.
func (f File) ReaderAt() *Reader { return &Reader{f.layout()} }

// Reader is an [io.ReaderAt] of a file that is not stored.
type Reader struct{ layout layout }

// Size returns the size of the file in bytes.
func (r *Reader) Size() int64 { return r.layout.size }

// ReadAt implements [io.ReaderAt].
func (r *Reader) ReadAt(p []byte, at int64) (int, error) {
	l := &r.layout
	if at >= l.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), l.size-at))
	clear(p[:n])
	if at < int64(len(l.header)) {
		copy(p[:n], l.header[at:])
	}
	end := at + int64(n)
	first := sort.Search(len(l.regions), func(i int) bool { return l.regions[i].offset+l.regions[i].size > at })
	for _, region := range l.regions[first:] {
		if region.offset >= end {
			break
		}
		from, to := max(at, region.offset), min(end, region.offset+region.size)
		if from < to {
			region.read(p[from-at:to-at], from-region.offset)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// read fills p with the region's bytes from offset at on.
func (r *region) read(p []byte, at int64) {
	switch {
	case r.data != nil:
		copy(p, r.data[at:])
	case !r.zero:
		Fill(p, r.seed, at)
	}
}
