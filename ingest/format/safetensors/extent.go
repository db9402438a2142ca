package safetensors

import (
	"cmp"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// checkNames checks that no two tensors, and no two metadata keys, have the same name.
func (r *reader) checkNames(f *File) error {
	first, again, found := header.Duplicate(len(f.Tensors), func(i int) string { return f.Tensors[i].Name })
	if found {
		return r.fail(int64(f.Tensors[again].at), "tensor name %s is used twice, first at offset %d",
			header.Quote(f.Tensors[again].Name), f.Tensors[first].at)
	}
	first, again, found = header.Duplicate(len(f.Metadata), func(i int) string { return f.Metadata[i].Key })
	if found {
		return r.fail(int64(f.Metadata[again].at), "metadata key %s is used twice, first at offset %d",
			header.Quote(f.Metadata[again].Key), f.Metadata[first].at)
	}
	return nil
}

// checkCover checks that the tensors cover the file from the header to its end: each starts where
// the one before it ends.
func (r *reader) checkCover(f *File) error {
	end, before := f.DataOffset, ""
	for _, i := range header.Sorted(len(f.Tensors), func(a, b int) int {
		ta, tb := &f.Tensors[a], &f.Tensors[b]
		return cmp.Or(cmp.Compare(ta.Offset, tb.Offset), cmp.Compare(ta.Size, tb.Size))
	}) {
		t := &f.Tensors[i]
		r.kind, r.name = "tensor", t.Name
		switch {
		case t.Offset < end:
			return r.fail(int64(t.atOffsets), "its %d bytes at offset %d overlap tensor %s, which ends at offset %d",
				t.Size, t.Offset, header.Quote(before), end)
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
