package safetensors

import (
	"cmp"
	"slices"
)

// checkNames checks that no two tensors, and no two metadata keys, have the same name.
func (r *reader) checkNames(f *File) error {
	first, again, found := duplicate(len(f.Tensors), func(i int) string { return f.Tensors[i].Name })
	if found {
		return r.fail(int64(f.Tensors[again].at), "tensor name %s is used twice, first at offset %d",
			quote(f.Tensors[again].Name), f.Tensors[first].at)
	}
	first, again, found = duplicate(len(f.Metadata), func(i int) string { return f.Metadata[i].Key })
	if found {
		return r.fail(int64(f.Metadata[again].at), "metadata key %s is used twice, first at offset %d",
			quote(f.Metadata[again].Key), f.Metadata[first].at)
	}
	return nil
}

// duplicate finds the first name, in file order, that occurred before. It needs 4 bytes of memory
// per name.
func duplicate(count int, name func(int) string) (first, again int, found bool) {
	order := sorted(count, func(a, b int) int { return cmp.Compare(name(a), name(b)) })
	again = count
	for i := 1; i < count; i++ {
		a, b := int(order[i-1]), int(order[i])
		if b < again && name(a) == name(b) {
			first, again, found = a, b, true
		}
	}
	return first, again, found
}

// sorted returns the numbers below count in the order of compare; equal ones in their own order.
func sorted(count int, compare func(a, b int) int) []uint32 {
	order := make([]uint32, count)
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Or(compare(int(a), int(b)), cmp.Compare(a, b)) })
	return order
}

// checkCover checks that the tensors cover the file from the header to its end: each starts where
// the one before it ends.
func (r *reader) checkCover(f *File) error {
	end, before := f.DataOffset, ""
	for _, i := range sorted(len(f.Tensors), func(a, b int) int {
		ta, tb := &f.Tensors[a], &f.Tensors[b]
		return cmp.Or(cmp.Compare(ta.Offset, tb.Offset), cmp.Compare(ta.Size, tb.Size))
	}) {
		t := &f.Tensors[i]
		r.kind, r.name = "tensor", t.Name
		switch {
		case t.Offset < end:
			return r.fail(int64(t.atOffsets), "its %d bytes at offset %d overlap tensor %s, which ends at offset %d",
				t.Size, t.Offset, quote(before), end)
		case t.Offset > end:
			return r.fail(int64(t.atOffsets), "it starts at offset %d, but the %d bytes before it belong to no tensor",
				t.Offset, t.Offset-end)
		}
		end, before = t.Offset+t.Size, t.Name
	}
	r.kind = ""
	switch {
	case end > r.size:
		return r.fail(r.size, "the file is truncated: its tensors end at offset %d, so %d bytes are missing", end,
			end-r.size)
	case end < r.size:
		return r.fail(end, "%d bytes follow the last tensor, which the format does not allow", r.size-end)
	}
	return nil
}
