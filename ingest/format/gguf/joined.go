package gguf

import "fmt"

// findNext warns of another GGUF file after the data of this one. If this one is a part of a split
// model, it is refused: the tensors of the other parts would be missing. A read error is left to
// those who read the data.
func (r *reader) findNext(f *File, order []uint32) error {
	end := f.HeaderSize
	if n := len(order); n > 0 {
		last := &f.Tensors[order[n-1]]
		if !last.Known() {
			return nil
		}
		end = last.Offset + last.Size
	}
	padded := (end + f.Alignment - 1) &^ (f.Alignment - 1)
	for _, at := range [...]int64{end, padded} {
		var magic [len(Magic)]byte
		if at > r.size-int64(len(magic)) {
			continue
		}
		if n, _ := r.src.ReadAt(magic[:], at); n < len(magic) || !Sniff(magic[:]) {
			continue
		}
		if parts, _ := f.Uint("split.count"); parts > 1 {
			r.kind = ""
			return r.fail(at, "another GGUF file starts here: the %d parts of a split model were joined with cat: "+
				"ingest the parts, or join them with llama-gguf-split --merge", parts)
		}
		f.Warnings = append(f.Warnings, fmt.Sprintf("two GGUF files in one: another starts at offset %d: "+
			"its bytes are stored, its tensors are not recorded", at))
		return nil
	}
	return nil
}
