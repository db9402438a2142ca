package pipeline

import (
	"sync/atomic"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// pendingBatch is a batch whose blocks are still being hashed and stored.
type pendingBatch struct {
	blocks  []*readBlock
	begun   time.Time
	rows    int
	bytes   int64
	small   int64 // bytes of small payloads
	final   bool  // the file ends with it
	pending atomic.Int64
	done    chan struct{} // closed when all of it is hashed and stored
}

func newBatch() *pendingBatch {
	b := &pendingBatch{begun: time.Now(), done: make(chan struct{})}
	b.pending.Store(1) // until submit
	return b
}

// finish ends one of the pending steps: submit, the hashing of a block, or the storing of a
// segment.
func (b *pendingBatch) finish() {
	if b.pending.Add(-1) == 0 {
		close(b.done)
	}
}

// add appends a block. With untilCommit its buffer is kept until the batch is committed.
func (b *pendingBatch) add(block *readBlock, untilCommit bool) {
	block.batch = b
	b.blocks = append(b.blocks, block)
	b.rows += len(block.segments)
	b.bytes += block.to - block.from
	b.small += block.small
	users := 1 + len(block.segments)
	b.pending.Add(int64(users))
	if untilCommit {
		users++
	}
	block.users.Store(int32(users))
}

// recordOf collects the rows of blocks. Without any, as for an empty file, the batch has from and
// state.
func (f *fileIngest) recordOf(blocks []*readBlock, from int64, state []byte) *ingest.Batch {
	r := &ingest.Batch{Model: f.model, File: f.entry.ID, From: from, To: from, HashState: state, InRows: f.Store == nil}
	r.Unshared = r.InRows || f.Unshared
	for _, block := range blocks {
		r.Segments = append(r.Segments, block.segments...)
		r.To, r.HashState = block.to, block.state
	}
	return r
}
