package format

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// addTensors converts the header's tensors.
func addTensors(file *ingest.File, h fileHeader) {
	unknown := map[string]int{}
	add := func(t ingest.Tensor, elements, bytes int64, known bool) {
		if !known {
			unknown[t.Type]++
			elements, bytes = 0, 1
		}
		t.BlockElements, t.BlockBytes = elements, bytes
		file.Tensors = append(file.Tensors, t)
	}
	if h.gguf != nil {
		file.Warnings = append(file.Warnings, h.gguf.Warnings...)
		file.Tensors = make([]ingest.Tensor, 0, len(h.gguf.Tensors))
		for _, t := range h.gguf.Tensors {
			elements, bytes, known := t.Type.Block()
			add(ingest.Tensor{Name: t.Name, Type: t.Type.String(), Shape: t.Shape, Elements: int64(t.Elements),
				Offset: h.program.Offset + t.Offset, Bytes: t.Size}, elements, bytes, known)
		}
		if n := h.program.More; n > 0 {
			file.Warnings = append(file.Warnings, fmt.Sprintf("its archive has %s: stored as bytes outside all "+
				"tensors", counted(int64(n), "more GGUF file")))
		}
	}
	if h.safetensors != nil {
		file.Tensors = make([]ingest.Tensor, 0, len(h.safetensors.Tensors))
		for _, t := range h.safetensors.Tensors {
			elements, bytes, known := t.Dtype.Block()
			add(ingest.Tensor{Name: t.Name, Type: string(t.Dtype), Shape: t.Shape, Elements: int64(t.Elements),
				Offset: t.Offset, Bytes: t.Size}, elements, bytes, known)
		}
		if n := h.safetensors.Ignored; n > 0 {
			file.Warnings = append(file.Warnings,
				counted(int64(n), "field")+" of tensors not in the format: ignored, and stored with the header")
		}
	}
	addUnknown(file, unknown)
}

// addUnknown warns of tensors of unknown type, by type.
func addUnknown(file *ingest.File, unknown map[string]int) {
	const most = 10
	types := slices.Sorted(maps.Keys(unknown))
	for _, name := range types[:min(most, len(types))] {
		text := counted(int64(unknown[name]), "tensor") + " of "
		if file.Format == Safetensors {
			text += "unknown type " + ingest.Printable(name)
		} else { // "type 42"
			text += name + " (size unknown), with all bytes up to the next one"
		}
		file.Warnings = append(file.Warnings, text)
	}
	if more := len(types) - most; more > 0 {
		file.Warnings = append(file.Warnings, "tensors of "+counted(int64(more), "more unknown type"))
	}
}
