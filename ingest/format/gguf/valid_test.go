package gguf_test

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/header/headertest"
)

// checkValid checks the properties of an accepted file independently of the parser.
func checkValid(t *testing.T, f *gguf.File, size int64) {
	t.Helper()
	if f.HeaderSize > size || f.HeaderSize < 16 || f.DataOffset < f.HeaderSize ||
		f.DataOffset-f.HeaderSize >= f.Alignment || f.DataOffset%f.Alignment != 0 {
		t.Errorf("header %d, data at %d, alignment %d, file %d", f.HeaderSize, f.DataOffset, f.Alignment, size)
	}
	keys := map[string]bool{"": true}
	for _, kv := range f.Metadata {
		if keys[kv.Key] {
			t.Errorf("key %q is empty or used twice", kv.Key)
		}
		keys[kv.Key] = true
		if v := kv.Value; v.Offset < 0 || v.Offset > f.HeaderSize || len(v.First) > 8 {
			t.Errorf("value of %q at %d: %v", kv.Key, v.Offset, v)
		}
	}
	names := map[string]bool{}
	for i, tensor := range f.Tensors {
		if names[tensor.Name] || len(tensor.Name) > 1<<16 {
			t.Errorf("tensor name %q is too long or used twice", tensor.Name)
		}
		names[tensor.Name] = true
		checkTensor(t, f, tensor, size)
		for _, other := range f.Tensors[:i] {
			if shareBytes(tensor, other) {
				t.Errorf("%+v overlaps %+v", tensor, other)
			}
		}
	}
}

func checkTensor(t *testing.T, f *gguf.File, tensor gguf.Tensor, size int64) {
	t.Helper()
	elements := big.NewInt(1)
	for _, dim := range tensor.Shape {
		elements.Mul(elements, new(big.Int).SetUint64(dim))
	}
	if elements.Cmp(new(big.Int).SetUint64(tensor.Elements)) != 0 || len(tensor.Shape) > 8 {
		t.Errorf("%+v does not have %v elements", tensor, elements)
	}
	perBlock, bytes, known := tensor.Type.Block()
	if known {
		want := new(big.Int).Mul(elements, big.NewInt(bytes))
		if want.Cmp(new(big.Int).Mul(big.NewInt(tensor.Size), big.NewInt(perBlock))) != 0 {
			t.Errorf("%+v has the wrong size", tensor)
		}
	} else if end := nextOffset(f, tensor, size); tensor.Size != end-tensor.Offset && tensor.Elements > 0 {
		t.Errorf("%+v of unknown type does not extend to offset %d", tensor, end)
	}
	if tensor.Known() != (known || tensor.Elements == 0) {
		t.Errorf("%+v: Known is %v", tensor, tensor.Known())
	}
	inside := tensor.Offset <= size && tensor.Size <= size-tensor.Offset
	switch {
	case tensor.Size == 0:
		inside = tensor.Offset < size+f.Alignment
	}
	if !inside || tensor.Offset < f.DataOffset || (tensor.Offset-f.DataOffset)%f.Alignment != 0 {
		t.Errorf("%+v is not inside the file of %d bytes", tensor, size)
	}
}

// nextOffset returns the offset of the next tensor with data, or size.
func nextOffset(f *gguf.File, tensor gguf.Tensor, size int64) int64 {
	next := size
	for _, other := range f.Tensors {
		if other.Offset > tensor.Offset && other.Elements > 0 {
			next = min(next, other.Offset)
		}
	}
	return next
}

func shareBytes(a, b gguf.Tensor) bool {
	if a.Elements == 0 || b.Elements == 0 {
		return false
	}
	return a.Offset < b.Offset+b.Size && b.Offset < a.Offset+a.Size
}

// mustRefuse parses an invalid file and checks the error.
func mustRefuse(t *testing.T, file []byte, at int64, reason string) {
	t.Helper()
	f, err := parse(file)
	headertest.Refuse(t, f, err, at, reason)
}

func parse(file []byte) (*gguf.File, error) {
	return gguf.Parse(bytes.NewReader(file), int64(len(file)))
}
