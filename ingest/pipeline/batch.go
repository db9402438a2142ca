package pipeline

import (
	"sync/atomic"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// smallBytes: segments up to this size that lie one after the other share a
// buffer and a read, so that a thousand small tensors do not cost a thousand of each.
const smallBytes = 512 << 10

// slab is one buffer's worth of consecutive segments.
type slab struct {
	batch    *batchInHand
	buffer   []byte
	from, to int64
	segments []ingest.NewSegment
	state    []byte // of the file's hash after byte to
	users    atomic.Int32
}

// piece is one segment of a slab.
type piece struct {
	slab  *slab
	index int
}

func (p piece) payload() []byte {
	s := &p.slab.segments[p.index]
	at := s.Offset - p.slab.from
	return p.slab.buffer[at : at+s.Bytes : at+s.Bytes]
}

// batchInHand is a batch whose slabs are still being hashed and stored.
type batchInHand struct {
	slabs   []*slab
	begun   time.Time
	rows    int
	bytes   int64
	final   bool // the file ends with it
	pending atomic.Int64
	done    chan struct{} // closed when all of it is hashed and stored
}

func newBatch() *batchInHand {
	b := &batchInHand{begun: time.Now(), done: make(chan struct{})}
	b.pending.Store(1) // it is open, until hand settles that
	return b
}

func (b *batchInHand) settle() {
	if b.pending.Add(-1) == 0 {
		close(b.done)
	}
}

func (s *slab) takes(next ingest.Segment, most int64, rows int) bool {
	return len(s.segments) < rows && next.Bytes <= smallBytes && next.End()-s.from <= most
}

func (b *batchInHand) add(s *slab, untilCommit bool) {
	s.batch = b
	b.slabs = append(b.slabs, s)
	b.rows += len(s.segments)
	b.bytes += s.to - s.from
	users := 1 + len(s.segments)
	b.pending.Add(int64(users))
	if untilCommit {
		users++
	}
	s.users.Store(int32(users))
}

// record gathers the batch's rows. from and state hold for a batch without bytes,
// which is that of an empty file.
func (b *batchInHand) record(model ingest.ModelID, file ingest.FileID, from int64, state []byte) *ingest.Batch {
	r := &ingest.Batch{Model: model, File: file, From: from, To: from, HashState: state,
		Segments: make([]ingest.NewSegment, 0, b.rows)}
	for _, s := range b.slabs {
		r.Segments = append(r.Segments, s.segments...)
		r.To, r.HashState = s.to, s.state
	}
	return r
}
