package codec

import "context"

// Workers is a fixed number of workers for goroutines that share them.
type Workers struct {
	idle chan *Worker // nil for one that was not needed yet
	size int64
}

// Worker encodes and decodes payloads, for one goroutine at a time.
type Worker struct {
	*Encoder
	Buffer  []byte   // of the size that NewWorkers was given
	decoder *Decoder // nil before it is needed
}

// Decode is Decoder.Decode.
func (w *Worker) Decode(into, encoded []byte) error {
	if w.decoder == nil {
		w.decoder = NewDecoder()
	}
	return w.decoder.Decode(into, encoded)
}

// NewWorkers returns n workers with buffers of size bytes. A worker is allocated when it is first
// needed; the caller accounts for the memory.
func NewWorkers(n int, size int64) *Workers {
	w := &Workers{make(chan *Worker, n), size}
	for range n {
		w.idle <- nil
	}
	return w
}

// Get waits for a worker. Put returns it.
func (w *Workers) Get(ctx context.Context) (*Worker, error) {
	select {
	case worker := <-w.idle:
		if worker == nil {
			worker = &Worker{Encoder: NewEncoder(), Buffer: make([]byte, w.size)}
		}
		return worker, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Put returns a worker of Get.
func (w *Workers) Put(worker *Worker) { w.idle <- worker }
