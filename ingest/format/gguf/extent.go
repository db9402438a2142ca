package gguf

import (
	"cmp"
	"math"
	"slices"
)

// checkInside makes a tensor's offset relative to the start of the file, and checks that the tensor
// is inside the file.
func (r *reader) checkInside(f *File, t *Tensor) error {
	relative := t.Offset
	if relative > math.MaxInt64-f.DataOffset {
		return r.outsideError(f, t, relative)
	}
	t.Offset += f.DataOffset
	if t.span() == 0 {
		// The padding before such a tensor may be missing.
		if t.Offset-r.size >= f.Alignment {
			return r.outsideError(f, t, relative)
		}
		return nil
	}
	if t.span() > r.size-t.Offset {
		return r.outsideError(f, t, relative)
	}
	return nil
}

func (r *reader) outsideError(f *File, t *Tensor, relative int64) error {
	return r.fail(r.offsetField(t), "%d bytes at %d + %d extend beyond the end of the file of %d bytes",
		t.span(), f.DataOffset, relative, r.size)
}

// span returns the minimum size of the tensor: its size, or 1 if the size is unknown.
func (t *Tensor) span() int64 {
	if !t.Known() {
		return 1
	}
	return t.Size
}

// offsetField returns the offset of the field that contains the tensor's offset.
func (r *reader) offsetField(t *Tensor) int64 {
	lengths := int64(1+len(t.Shape)) * int64(r.width)
	return t.at + lengths + int64(len(t.Name)) + 4 + 4
}

// checkOverlap checks that no two tensors share a byte.
func (r *reader) checkOverlap(f *File) error {
	order := make([]uint32, 0, len(f.Tensors))
	for i := range f.Tensors {
		if f.Tensors[i].span() > 0 {
			order = append(order, uint32(i))
		}
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(f.Tensors[a].Offset, f.Tensors[b].Offset), cmp.Compare(a, b))
	})
	for i := 1; i < len(order); i++ {
		before, t := &f.Tensors[order[i-1]], &f.Tensors[order[i]]
		if t.Offset-before.Offset < before.span() {
			r.index, r.name = uint64(order[i]), t.Name
			return r.fail(r.offsetField(t), "its %d bytes at %d overlap tensor %q with %d bytes at %d",
				t.span(), t.Offset, before.Name, before.span(), before.Offset)
		}
	}
	return nil
}

// duplicate finds the first name, in file order, that occurred before. It needs 4 bytes of memory
// per name.
func duplicate(count int, name func(int) string) (first, again int, found bool) {
	order := make([]uint32, count)
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(name(int(a)), name(int(b))), cmp.Compare(a, b))
	})
	again = count
	for i := 1; i < count; i++ {
		a, b := int(order[i-1]), int(order[i])
		if b < again && name(a) == name(b) {
			first, again, found = a, b, true
		}
	}
	return first, again, found
}
