package gguftest

import (
	"io"
	"sort"
)

// layout is a File with every byte in its place.
type layout struct {
	header []byte
	pieces []piece // in file order
	size   int64
}

// piece is a stretch of the file after the header. Between pieces are zeros.
type piece struct {
	offset, size int64
	data         []byte // if not nil
	seed         uint64
	zero         bool
}

func roundUp(n, alignment int64) int64 { return (n + alignment - 1) / alignment * alignment }

// layout places the tensors and builds the header.
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
		p := piece{offset: start + offsets[i], size: t.Size(), data: t.Data, seed: t.Seed, zero: t.Zero}
		if p.seed == 0 {
			p.seed = seedOf(f.Seed, t.Name)
		}
		l.pieces = append(l.pieces, p)
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
		l.pieces = append(l.pieces, piece{offset: l.size, size: int64(len(f.Trailing)), data: f.Trailing})
		l.size += int64(len(f.Trailing))
	}
	return l
}

// offsets returns where the data of each tensor begins, from the start of all data, and where the last one ends.
func (f File) offsets(alignment int64) (offsets []int64, end int64) {
	offsets = make([]int64, len(f.Tensors))
	for _, i := range f.order() {
		t := f.Tensors[i]
		offsets[i] = roundUp(end, alignment) + roundUp(t.Gap, alignment)
		end = offsets[i] + t.Size()
	}
	return offsets, end
}

// order returns the indices of the tensors in the order of their data.
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

// header builds the header without the padding that follows it.
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

// ReaderAt returns a reader of the file that makes the bytes asked for and keeps only the header. It may be used by
// several goroutines at once.
func (f File) ReaderAt() *Reader { return &Reader{f.layout()} }

// Reader reads a file that is nowhere.
type Reader struct{ layout layout }

// Size returns the bytes of the file.
func (r *Reader) Size() int64 { return r.layout.size }

// ReadAt fills p with the bytes at an offset. The error is [io.EOF] if the file ends first.
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
	first := sort.Search(len(l.pieces), func(i int) bool { return l.pieces[i].offset+l.pieces[i].size > at })
	for _, piece := range l.pieces[first:] {
		if piece.offset >= end {
			break
		}
		from, to := max(at, piece.offset), min(end, piece.offset+piece.size)
		if from < to {
			piece.read(p[from-at:to-at], from-piece.offset)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// read fills q with the piece's bytes at an offset within it.
func (p *piece) read(q []byte, at int64) {
	switch {
	case p.data != nil:
		copy(q, p.data[at:])
	case !p.zero:
		Fill(q, p.seed, at)
	}
}
