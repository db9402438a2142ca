package ingest

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawFile returns a file with tensors of several block sizes, out of order, with gaps.
func drawFile(t *rapid.T) *File {
	file := &File{}
	at := rapid.Int64Range(0, 3<<20).Draw(t, "header")
	for range rapid.IntRange(0, 6).Draw(t, "tensors") {
		block := rapid.SampledFrom([]struct{ elements, bytes int64 }{{1, 4}, {32, 18}, {256, 144}, {256, 210},
			{0, 0}}).Draw(t, "block")
		tensor := Tensor{Type: "F32", Offset: at, Elements: 7, BlockElements: block.elements, BlockBytes: block.bytes}
		if block.bytes > 0 {
			blocks := rapid.Int64Range(0, 4<<20/block.bytes).Draw(t, "blocks")
			tensor.Elements, tensor.Bytes = blocks*block.elements, blocks*block.bytes
		}
		file.Tensors = append(file.Tensors, tensor)
		at += tensor.Bytes + rapid.Int64Range(0, 2<<20).Draw(t, "gap")
	}
	file.Bytes = at
	order := rapid.Permutation(file.Tensors).Draw(t, "order")
	file.Tensors = order
	return file
}

// TestPlanCoversFile: the segments cover the file exactly, in order, with whole blocks. Count and
// From agree with All.
func TestPlanCoversFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := drawFile(t)
		size := rapid.Int64Range(MinSegmentBytes, 2*MinSegmentBytes).Draw(t, "segment")
		plan, err := NewPlan(file, size)
		if err != nil {
			t.Fatal(err)
		}
		all := slices.Collect(plan.All())
		at, elements := int64(0), make([]int64, len(file.Tensors))
		ordinals := map[int]int{}
		for _, s := range all {
			if s.Offset != at || s.Bytes < 1 || s.Bytes > size || s.Ordinal != ordinals[s.Tensor] {
				t.Fatalf("segment %+v at byte %d, ordinal %d", s, at, ordinals[s.Tensor])
			}
			ordinals[s.Tensor]++
			at = s.End()
			if s.Tensor == NoTensor {
				continue
			}
			tensor := file.Tensors[s.Tensor]
			if s.First != elements[s.Tensor] || s.Bytes%tensor.BlockBytes != 0 ||
				s.Count != s.Bytes/tensor.BlockBytes*tensor.BlockElements ||
				s.Offset < tensor.Offset || s.End() > tensor.Offset+tensor.Bytes {
				t.Fatalf("segment %+v of tensor %+v", s, tensor)
			}
			elements[s.Tensor] += s.Count
		}
		if at != file.Bytes || plan.Count() != int64(len(all)) {
			t.Fatalf("segments end at %d of %d; %d of them, Count %d", at, file.Bytes, len(all), plan.Count())
		}
		for i, tensor := range file.Tensors {
			if tensor.BlockBytes > 0 && elements[i] != tensor.Elements {
				t.Fatalf("tensor %d: %d elements planned of %d", i, elements[i], tensor.Elements)
			}
		}
		from := rapid.IntRange(0, len(all)).Draw(t, "from")
		start := file.Bytes
		if from < len(all) {
			start = all[from].Offset
		}
		if rest := slices.Collect(plan.From(start)); !slices.Equal(rest, all[from:]) {
			t.Fatalf("From(%d) gives %d segments, want the last %d", start, len(rest), len(all)-from)
		}
	})
}

// TestPlanSharesTensors: the segments of a tensor do not depend on its offset, so that two files
// share them.
func TestPlanSharesTensors(t *testing.T) {
	plan := func(offset int64) (sizes []int64) {
		file := &File{Bytes: offset + 10<<20, Tensors: []Tensor{{Offset: offset, Bytes: 9 << 20, Elements: 9 << 18,
			BlockElements: 1, BlockBytes: 4}}}
		plan, err := NewPlan(file, 2<<20)
		if err != nil {
			t.Fatal(err)
		}
		for s := range plan.All() {
			if s.Tensor == 0 {
				sizes = append(sizes, s.Bytes)
			}
		}
		return sizes
	}
	if a, b := plan(32), plan(1<<20+4096); !slices.Equal(a, b) || len(a) != 5 {
		t.Fatalf("segments of %v at one offset and %v at another", a, b)
	}
}

func TestPlanRefuses(t *testing.T) {
	tensor := func(offset, bytes int64) Tensor {
		return Tensor{Name: "t", Offset: offset, Bytes: bytes, Elements: bytes / 4, BlockElements: 1, BlockBytes: 4}
	}
	for name, tensors := range map[string][]Tensor{
		"overlap":     {tensor(0, 8), tensor(4, 8)},
		"beyond":      {tensor(60, 8)},
		"far beyond":  {tensor(1<<62, 1<<62)},
		"before":      {tensor(-4, 4)},
		"negative":    {tensor(0, -4)},
		"same offset": {tensor(8, 4), tensor(8, 8)},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewPlan(&File{Bytes: 64, Tensors: tensors}, 0); !errors.Is(err, ErrOverlap) &&
				name != "negative" || err == nil {
				t.Fatalf("NewPlan: %v", err)
			}
		})
	}
	for _, size := range []int64{-1, 1, MinSegmentBytes - 1, MaxSegmentBytes + 1} {
		if _, err := NewPlan(&File{}, size); err == nil {
			t.Errorf("segments of %d bytes were accepted", size)
		}
	}
}

// TestPlanDigest: each change of a plan changes its digest.
func TestPlanDigest(t *testing.T) {
	base := func() *File {
		return &File{Bytes: 100, Tensors: []Tensor{{Name: "a", Type: "F32", Shape: []uint64{2, 4}, Offset: 8, Bytes: 32,
			Elements: 8, BlockElements: 1, BlockBytes: 4}}}
	}
	digest := func(change func(*File), size int64) Digest {
		file := base()
		change(file)
		plan, err := NewPlan(file, size)
		if err != nil {
			t.Fatal(err)
		}
		return plan.Digest()
	}
	same := digest(func(*File) {}, 0)
	if again := digest(func(*File) {}, 0); again != same {
		t.Fatal("the same plan has two digests")
	}
	for name, change := range map[string]func(*File){
		"bytes":  func(f *File) { f.Bytes++ },
		"name":   func(f *File) { f.Tensors[0].Name = "b" },
		"type":   func(f *File) { f.Tensors[0].Type = "I32" },
		"shape":  func(f *File) { f.Tensors[0].Shape = []uint64{4, 2} },
		"offset": func(f *File) { f.Tensors[0].Offset = 12 },
	} {
		if digest(change, 0) == same {
			t.Errorf("another %s has the same digest", name)
		}
	}
	if digest(func(*File) {}, MinSegmentBytes) == same {
		t.Error("another segment size has the same digest")
	}
}
