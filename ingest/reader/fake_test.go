package reader

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
)

const kib = 1 << 10

// fake is a catalogue and a store with one file. Every second segment is in its row.
type fake struct {
	content  []byte
	file     ingest.StoredFile
	rows     []ingest.StoredSegment
	inRow    map[int64][]byte
	inStore  map[ingest.Digest][]byte
	attested bool
	stat     map[int64]error // by offset
	get      func(ingest.Digest) error
	goneURI  string // of payloads that are not there
	elements string // type of the tensor

	atom ingest.FileAtom // of w.file, if it is stored whole

	mu       sync.Mutex
	got      int // calls of Get and ReadPayload
	replaced map[int64]ingest.Address
}

// newFake stores a file in segments of at most 4 KiB.
func newFake(t *testing.T, bytes int) *fake {
	t.Helper()
	w := &fake{inRow: map[int64][]byte{}, inStore: map[ingest.Digest][]byte{}, stat: map[int64]error{},
		replaced: map[int64]ingest.Address{}}
	random := rand.New(rand.NewPCG(1, uint64(bytes)))
	for range bytes {
		w.content = append(w.content, byte(random.Uint32()))
	}
	w.file = ingest.StoredFile{ID: 7, Name: "a.gguf", Bytes: int64(bytes), SegmentBytes: 4 * kib,
		Digest: ingest.Sum(w.content)}
	for at, i := 0, 0; at < bytes; i++ {
		n := min(bytes-at, 1+random.IntN(4*kib))
		payload := append([]byte(nil), w.content[at:at+n]...)
		s := ingest.StoredSegment{RowID: int64(i + 1), File: 7, Layer: 3, Tensor: "t", Ordinal: i, Offset: int64(at),
			Bytes: int64(n), Digest: ingest.Sum(payload)}
		if i%2 == 0 {
			s.Address = ingest.Address{URI: fmt.Sprintf("fake:%d", i), Bytes: int64(n), ETag: "1"}
			w.inStore[s.Digest] = payload
		} else {
			s.InRow = true
			w.inRow[s.RowID] = payload
		}
		w.rows = append(w.rows, s)
		at += n
	}
	return w
}

// reader returns a Reader with a pool for a few segments.
func (w *fake) reader(t *testing.T) *Reader {
	pool := buffer.New(24 * kib)
	t.Cleanup(func() {
		l := pool.Lease()
		defer l.Close()
		if l.Try(pool.Limit()) == nil {
			t.Error("buffers were not returned")
		}
	})
	return &Reader{Catalog: w, Store: w, Pool: pool, Workers: 3, Progress: &ingest.Progress{}}
}

func (w *fake) Segments(_ context.Context, _ ingest.FileID, from int64) iter.Seq2[ingest.StoredSegment, error] {
	return func(yield func(ingest.StoredSegment, error) bool) {
		for _, s := range w.rows {
			if s.Offset+s.Bytes > from && !yield(s, nil) {
				return
			}
		}
	}
}

func (w *fake) TensorSegments(context.Context, ingest.ModelID) iter.Seq2[ingest.StoredSegment, error] {
	return func(yield func(ingest.StoredSegment, error) bool) {
		for _, s := range w.rows {
			if s.File == 0 && !yield(s, nil) {
				return
			}
		}
	}
}

// lock counts reads of payloads, and locks the maps until the returned function is called.
func (w *fake) lock(reads int) func() {
	w.mu.Lock()
	w.got += reads
	return w.mu.Unlock
}

func fill(into, payload []byte, ok bool) error {
	if !ok {
		return fmt.Errorf("fake: %w", ingest.ErrNoPayload)
	}
	if len(into) != len(payload) {
		return &ingest.SizeError{Where: "row 1 of FileSegments", Want: int64(len(into)), Got: int64(len(payload))}
	}
	copy(into, payload)
	return nil
}

func (w *fake) ReadPayload(_ context.Context, s ingest.StoredSegment, into []byte) error {
	defer w.lock(1)()
	payload, ok := w.inRow[s.RowID]
	return fill(into, payload, ok)
}

func (w *fake) FileAtom(_ context.Context, id int64) (ingest.FileAtom, error) {
	if id != w.atom.ID {
		return ingest.FileAtom{}, ingest.ErrNotFound
	}
	return w.atom, nil
}

// ReadAtom reads the row of the atom, which has the file's content.
func (w *fake) ReadAtom(_ context.Context, _ ingest.FileAtom, offset int64, into []byte) error {
	defer w.lock(1)()
	if offset+int64(len(into)) > int64(len(w.content)) {
		return &ingest.SizeError{Want: offset + int64(len(into)), Got: int64(len(w.content))}
	}
	copy(into, w.content[offset:])
	return nil
}

// FileWithDigest returns the file in segments.
func (w *fake) FileWithDigest(_ context.Context, digest ingest.Digest) (ingest.StoredFile, error) {
	if digest != w.file.Digest {
		return ingest.StoredFile{}, ingest.ErrNotFound
	}
	return w.file, nil
}

func (w *fake) HashPayload(_ context.Context, s ingest.StoredSegment) (ingest.Digest, error) {
	defer w.lock(0)()
	payload, ok := w.inRow[s.RowID]
	if !ok {
		return ingest.Digest{}, ingest.ErrNoPayload
	}
	return ingest.Sum(payload), nil
}

func (w *fake) ReplacePayload(_ context.Context, _ ingest.Lease, s ingest.StoredSegment, payload []byte) error {
	defer w.lock(0)()
	w.inRow[s.RowID] = append([]byte(nil), payload...)
	return nil
}

func (w *fake) Relocate(_ context.Context, _ ingest.Lease, s ingest.StoredSegment, address ingest.Address) error {
	w.replaced[s.Offset] = address
	return nil
}

func (w *fake) Get(_ context.Context, digest ingest.Digest, at ingest.Address, offset int64, into []byte) error {
	defer w.lock(1)()
	if at.URI == w.goneURI && w.goneURI != "" {
		return ingest.ErrNoPayload
	}
	if w.get != nil {
		if err := w.get(digest); err != nil {
			return err
		}
	}
	if offset != 0 && digest != w.atom.Digest {
		return errors.New("a partial read")
	}
	payload, ok := w.inStore[digest]
	if ok && digest == w.atom.Digest {
		payload = payload[offset : offset+int64(len(into))]
	}
	return fill(into, payload, ok)
}

func (w *fake) Stat(_ context.Context, digest ingest.Digest, address ingest.Address) (bool, error) {
	defer w.lock(0)()
	for _, s := range w.rows {
		if s.Digest == digest && w.stat[s.Offset] != nil {
			return false, w.stat[s.Offset]
		}
	}
	if _, ok := w.inStore[digest]; !ok {
		return false, ingest.ErrNoPayload
	}
	return w.attested, nil
}

// Layers yields the one tensor.
func (w *fake) Layers(context.Context, ingest.ModelID) iter.Seq2[ingest.Layer, error] {
	return func(yield func(ingest.Layer, error) bool) { yield(ingest.Layer{ID: 3, Type: w.elements}, nil) }
}

func (w *fake) Replace(_ context.Context, digest ingest.Digest, address ingest.Address,
	payload []byte) (ingest.Address, error) {
	defer w.lock(0)()
	w.inStore[digest] = append([]byte(nil), payload...)
	if address.URI == "" {
		address.URI = "fake:" + digest.String()
	}
	address.ETag, address.Bytes = "2", int64(len(payload))
	return address, nil
}

// corrupt changes the payload of row i. If change returns nil, corrupt deletes it.
func (w *fake) corrupt(i int, change func([]byte) []byte) {
	s := w.rows[i]
	if s.InStore() {
		if p := change(append([]byte(nil), w.inStore[s.Digest]...)); p != nil {
			w.inStore[s.Digest] = p
		} else {
			delete(w.inStore, s.Digest)
		}
		return
	}
	if p := change(append([]byte(nil), w.inRow[s.RowID]...)); p != nil {
		w.inRow[s.RowID] = p
	} else {
		delete(w.inRow, s.RowID)
	}
}
