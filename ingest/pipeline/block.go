package pipeline

import (
	"sync/atomic"

	"github.com/hartonomous/ingest/ingest"
)

// smallBytes is the largest segment that shares a buffer and a read with its neighbours, so that
// a thousand small tensors do not cost a thousand of each.
const smallBytes = 512 << 10

// readBlock is one buffer's worth of consecutive segments.
type readBlock struct {
	batch    *pendingBatch
	buffer   []byte
	from, to int64
	segments []ingest.NewSegment
	small    int64        // bytes of small payloads
	state    []byte       // of the file's hash after byte to
	users    atomic.Int32 // that still need buffer
}

// add appends the next segment of f.
func (b *readBlock) add(segment ingest.Segment, f *fileIngest) {
	r := ingest.NewSegment{Segment: segment}
	if segment.Tensor != ingest.NoTensor {
		r.Type = f.file.Tensors[segment.Tensor].Type
		if f.entry.ID != 0 { // otherwise Add sets the layers
			r.Layer = f.entry.Layers[segment.Tensor]
		}
	}
	b.segments = append(b.segments, r)
	b.to = segment.End()
	if f.isSmall(segment.Bytes) {
		b.small += segment.Bytes
	}
}

// fits reports whether next can share the block's buffer of size bytes.
func (b *readBlock) fits(next ingest.Segment, size int64, rows int) bool {
	return len(b.segments) < rows && next.Bytes <= smallBytes && next.End()-b.from <= size
}

// blockSegment is one segment of a block.
type blockSegment struct {
	block *readBlock
	index int
}

func (s blockSegment) payload() []byte {
	segment := &s.block.segments[s.index]
	at := segment.Offset - s.block.from
	return s.block.buffer[at : at+segment.Bytes : at+segment.Bytes]
}
