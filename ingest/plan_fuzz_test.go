package ingest

import (
	"encoding/binary"
	"testing"
)

// fuzzTensors decodes tensors from 26 bytes each.
func fuzzTensors(data []byte) []Tensor {
	var tensors []Tensor
	for ; len(data) >= 26 && len(tensors) < 50; data = data[26:] {
		tensors = append(tensors, Tensor{Name: string(rune('a' + len(tensors))), Type: "F32",
			Offset: int64(binary.LittleEndian.Uint64(data)), Bytes: int64(binary.LittleEndian.Uint64(data[8:])),
			Elements:      int64(data[16]),
			BlockElements: int64(data[17]), BlockBytes: int64(binary.LittleEndian.Uint64(data[18:]))})
	}
	return tensors
}

// FuzzPlan: a plan is refused, or covers the file exactly, each byte once and in order.
func FuzzPlan(f *testing.F) {
	tensor := func(offset, bytes, elements, blockElements, blockBytes uint64) []byte {
		b := binary.LittleEndian.AppendUint64(nil, offset)
		b = append(binary.LittleEndian.AppendUint64(b, bytes), byte(elements), byte(blockElements))
		return binary.LittleEndian.AppendUint64(b, blockBytes)
	}
	f.Add(int64(0), int64(0), []byte{})
	f.Add(int64(5<<20), int64(MinSegmentBytes), []byte{})
	f.Add(int64(5<<20), int64(MinSegmentBytes), append(tensor(64, 3<<20, 1, 1, 4),
		tensor(4<<20, 144*7000, 1, 255, 144)...))
	f.Add(int64(5<<20), int64(0), append(tensor(1<<20, 0, 1, 0, 0), tensor(0, 34, 32, 32, 34)...))
	f.Add(int64(100), int64(0), append(tensor(0, 50, 1, 1, 2), tensor(40, 4, 1, 1, 4)...))
	f.Add(int64(1<<62), int64(MaxSegmentBytes), tensor(1<<62, 1<<62, 1, 1, 1<<62))
	f.Add(int64(100), int64(MinSegmentBytes), tensor(1<<63, 1<<63, 1, 1, 1<<63))
	f.Fuzz(func(t *testing.T, bytes, size int64, data []byte) {
		file := &File{Bytes: bytes, Tensors: fuzzTensors(data)}
		plan, err := NewPlan(file, size)
		if err != nil {
			return
		}
		if bytes < 0 {
			t.Fatalf("a file of %d bytes was planned", bytes)
		}
		count := plan.Count()
		if count < 0 {
			t.Fatalf("%d segments", count)
		}
		if count > 10_000 {
			return // takes too long
		}
		at, n := int64(0), int64(0)
		for s := range plan.All() {
			if s.Offset != at || s.Bytes < 1 || s.Bytes > plan.SegmentBytes() || s.Ordinal < 0 || s.First < 0 ||
				s.Count < 0 {
				t.Fatalf("segment %+v after byte %d", s, at)
			}
			if s.Tensor != NoTensor {
				tensor := file.Tensors[s.Tensor]
				if s.Offset < tensor.Offset || s.End() > tensor.Offset+tensor.Bytes || s.Bytes%tensor.BlockBytes != 0 {
					t.Fatalf("segment %+v of tensor %+v", s, tensor)
				}
			}
			at = s.End()
			n++
		}
		if at != bytes || n != count {
			t.Fatalf("%d segments end at %d; Count is %d, the file has %d bytes", n, at, count, bytes)
		}
	})
}
