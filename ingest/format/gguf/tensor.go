package gguf

import (
	"math"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// TensorBytes is the memory of a Tensor and its shape in bytes, including growth of the slice and
// sorting. A shape of more than four dimensions takes 8 bytes more for each.
const TensorBytes = 224

// Tensor is one tensor of the file.
type Tensor struct {
	// Name has at most 64 KiB, and may contain any bytes.
	Name string
	// Type of the elements. Its size may be unknown.
	Type Type
	// Shape in file order, starting with the number of elements in a row. It is empty for a scalar.
	Shape []uint64
	// Elements is the product of the shape: 1 for a scalar, 0 if a dimension is 0.
	Elements uint64
	// Offset of the data from the start of the file. A tensor of 0 bytes may be up to one alignment
	// past the end of the file.
	Offset int64
	// Size of the data in bytes, computed from type and shape. If Known is false, the data extends to the
	// next tensor or to the end of the file, and Size includes padding.
	Size int64

	at int64 // offset of the info
}

// Known reports whether the size of the tensor is known: that of its type is known, or it has no
// elements.
func (t Tensor) Known() bool {
	_, _, ok := t.Type.Block()
	return ok || t.Elements == 0
}

// tensors reads all infos and checks their positions.
func (r *reader) tensors(f *File, count uint64) error {
	r.kind, r.count = "tensor", count
	for r.index = range count {
		if err := r.tensor(f); err != nil {
			return err
		}
	}
	f.HeaderSize = r.pos
	f.DataOffset = (r.pos + f.Alignment - 1) &^ (f.Alignment - 1)
	first, again, found := header.Duplicate(len(f.Tensors), func(i int) string { return f.Tensors[i].Name })
	if found {
		r.kind = ""
		return r.fail(f.Tensors[again].at, "tensor name %s used twice, first at offset %d",
			header.Quote(f.Tensors[again].Name), f.Tensors[first].at)
	}
	return r.extents(f)
}

// tensor reads one info. It leaves Offset relative to DataOffset.
func (r *reader) tensor(f *File) error {
	r.name = ""
	t := Tensor{at: r.pos}
	n, err := r.stringLength("name", maxName)
	if err != nil {
		return err
	}
	if err := r.charge(TensorBytes); err != nil {
		return err
	}
	if t.Name, err = r.text(n, maxName, "the name"); err != nil {
		return err
	}
	r.name = t.Name
	if err := r.shape(&t); err != nil {
		return err
	}
	atType := r.pos
	typ, err := r.uint32("the type")
	if err != nil {
		return err
	}
	if typ > math.MaxInt32 {
		return r.fail(atType, "type %d is negative", int32(typ))
	}
	t.Type = Type(typ)
	if err := r.measure(f, &t, atType); err != nil {
		return err
	}
	atOffset := r.pos
	offset, err := r.uint64("the offset")
	if err != nil {
		return err
	}
	if offset%uint64(f.Alignment) != 0 {
		return r.fail(atOffset, "offset %d is not a multiple of the alignment %d", offset, f.Alignment)
	}
	if offset > math.MaxInt64 {
		return r.fail(atOffset, "offset %d is beyond the end of the file of %d bytes", offset, r.size)
	}
	t.Offset = int64(offset)
	f.Tensors = append(f.Tensors, t)
	return nil
}

// shape reads the dimensions and counts the elements.
func (r *reader) shape(t *Tensor) error {
	at := r.pos
	dims, err := r.uint32("the number of dimensions")
	if err != nil {
		return err
	}
	if dims > maxDims {
		return r.fail(at, "%d dimensions, want at most %d", dims, maxDims)
	}
	if more := int64(dims) - 4; more > 0 {
		if err := r.charge(8 * more); err != nil {
			return err
		}
	}
	if dims > 0 {
		t.Shape = make([]uint64, dims)
	}
	for i := range t.Shape {
		at := r.pos
		if t.Shape[i], err = r.length("the size of a dimension"); err != nil {
			return err
		}
		if t.Shape[i] > math.MaxInt64 {
			return r.fail(at, "dimension %d is %d, which is negative", i+1, int64(t.Shape[i]))
		}
	}
	var ok bool
	if t.Elements, ok = header.Elements(t.Shape); !ok {
		return r.fail(at+4, "shape %v has 2^63 elements or more", t.Shape)
	}
	return nil
}

// measure computes the size from type and shape.
func (r *reader) measure(f *File, t *Tensor, atType int64) error {
	elements, bytes, ok := t.Type.Block()
	if !ok {
		return nil
	}
	row := uint64(1)
	if len(t.Shape) > 0 {
		row = t.Shape[0]
	}
	if row%uint64(elements) != 0 {
		if t.Type.disputed() {
			r.disown(f, t, "a row of %d elements is not a multiple of the %d in a block", row, elements)
			return nil
		}
		return r.fail(atType, "a row of %d elements is not a multiple of the %d in a block of %s", row, elements,
			t.Type)
	}
	blocks := t.Elements / uint64(elements)
	if blocks > math.MaxInt64/uint64(bytes) {
		return r.fail(atType, "shape %v of %s has 2^63 bytes or more", t.Shape, t.Type)
	}
	t.Size = int64(blocks) * bytes
	return nil
}
