package gguf

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// extents makes the offsets of the tensors relative to the start of the file, and checks that the
// tensors are inside the file and do not overlap.
func (r *reader) extents(f *File) error {
	for i := range f.Tensors {
		t := &f.Tensors[i]
		r.index, r.name = uint64(i), t.Name
		if t.Offset > math.MaxInt64-f.DataOffset {
			return r.outsideError(f, t, t.Offset)
		}
		t.Offset += f.DataOffset
	}
	r.markForeign(f)
	order := inOrder(f)
	r.findForeign(f, order)
	r.markForeign(f)
	for i := range f.Tensors {
		r.index, r.name = uint64(i), f.Tensors[i].Name
		if err := r.checkInside(f, &f.Tensors[i]); err != nil {
			return err
		}
	}
	if err := r.checkOverlap(f, order); err != nil {
		return err
	}
	if err := r.findNext(f, order); err != nil {
		return err
	}
	r.extend(f, order)
	return nil
}

// extend sets the size of each tensor of unknown size: it extends to the next tensor, or to the end of
// the file.
func (r *reader) extend(f *File, order []uint32) {
	end := r.size
	for _, i := range slices.Backward(order) {
		t := &f.Tensors[i]
		if !t.Known() {
			t.Size = end - t.Offset
		}
		end = t.Offset
	}
}

// inOrder returns the indexes of the tensors that have data, in the order of their data.
func inOrder(f *File) []uint32 {
	order := make([]uint32, 0, len(f.Tensors))
	for i := range f.Tensors {
		if f.Tensors[i].span() > 0 {
			order = append(order, uint32(i))
		}
	}
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(f.Tensors[a].Offset, f.Tensors[b].Offset), cmp.Compare(a, b))
	})
	return order
}

// findForeign finds the disputed numbers that the file uses for other types than ggml: a tensor of
// ggml's size overlaps the next one, or extends beyond the end of the file. The latter is no sign
// if another tensor of the type ends where the next one starts: then the file is truncated.
func (r *reader) findForeign(f *File, order []uint32) {
	var fits [len(layouts)]bool
	for n, i := range order {
		t := &f.Tensors[i]
		if !t.Known() || !t.Type.disputed() {
			continue
		}
		if n == len(order)-1 {
			if room := r.size - t.Offset; room > 0 && t.Size > room && !fits[t.Type] {
				r.disown(f, t, "its %d bytes do not fit into the %d up to the end of the file", t.Size, room)
			}
			break
		}
		room := f.Tensors[order[n+1]].Offset - t.Offset
		if t.Size > room {
			r.disown(f, t, "its %d bytes do not fit into the %d up to the next tensor", t.Size, room)
		}
		fits[t.Type] = fits[t.Type] || room >= t.Size && room-t.Size < f.Alignment
	}
}

// markForeign removes the sizes of all tensors with a number that the file uses for another type.
func (r *reader) markForeign(f *File) {
	for i := range f.Tensors {
		if t := &f.Tensors[i]; t.Type.disputed() && r.foreign[t.Type] {
			t.Type, t.Size = t.Type|foreign, 0
		}
	}
}

// disown notes that the file uses the number of t's type for another type than ggml.
func (r *reader) disown(f *File, t *Tensor, format string, args ...any) {
	if r.foreign[t.Type] {
		return
	}
	r.foreign[t.Type] = true
	f.Warnings = append(f.Warnings, fmt.Sprintf("type %d (size unknown) is not ggml's %s: tensor %s: %s",
		uint32(t.Type), t.Type, header.Quote(t.Name), fmt.Sprintf(format, args...)))
}

// checkInside checks that the tensor is inside the file.
func (r *reader) checkInside(f *File, t *Tensor) error {
	relative := t.Offset - f.DataOffset
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
	return r.short(r.offsetField(t), "%d bytes at %d + %d extend beyond the end of the file of %d bytes",
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

// checkOverlap checks that no two tensors share a byte. order has those with data, in its order.
func (r *reader) checkOverlap(f *File, order []uint32) error {
	for i := 1; i < len(order); i++ {
		before, t := &f.Tensors[order[i-1]], &f.Tensors[order[i]]
		if t.Offset-before.Offset < before.span() {
			r.index, r.name = uint64(order[i]), t.Name
			return r.fail(r.offsetField(t), "its %d bytes at %d overlap tensor %s with %d bytes at %d",
				t.span(), t.Offset, header.Quote(before.Name), before.span(), before.Offset)
		}
	}
	return nil
}
