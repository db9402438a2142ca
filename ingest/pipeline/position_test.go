package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// positionStore is a store that names payloads by their position.
type positionStore struct {
	storetest.Memory
	mu       sync.Mutex
	payloads map[string][]byte
}

func (s *positionStore) Put(_ context.Context, k ingest.Key, payload []byte) (ingest.Address, error) {
	name := fmt.Sprintf("%d/%d/%d/%d/%s", k.Model, k.File, k.Layer, k.Ordinal, k.Type)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.payloads[name] = bytes.Clone(payload)
	return ingest.Address{URI: "position:" + name, Name: name, Bytes: int64(len(payload))}, nil
}

func (s *positionStore) Get(_ context.Context, _ ingest.Digest, address ingest.Address, offset int64,
	into []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	payload, ok := s.payloads[address.Name]
	if !ok {
		return ingest.ErrNoPayload
	}
	copy(into, payload[offset:])
	return nil
}

// TestPosition: each key has the position of its row, and the payload is stored there.
func TestPosition(t *testing.T) {
	source := splits(t, t.TempDir())
	h := storeHome(t)
	store := &positionStore{payloads: map[string][]byte{}}
	in := h.ingester(small)
	in.Store, in.Unshared = store, true
	report, err := run(t, t.Context(), in, source)
	if err != nil || len(report.Ingested) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	r := h.reader()
	r.Store = store
	m := h.models(t)[0]
	segments := 0
	for _, f := range m.Files {
		for p, err := range h.catalog.Segments(t.Context(), f.ID, 0) {
			must(t, err)
			segments++
			payload, found := store.payloads[p.Address.Name]
			var model, file, layer, ordinal int64
			fmt.Sscanf(p.Address.Name, "%d/%d/%d/%d/", &model, &file, &layer, &ordinal)
			if !found || ingest.Sum(payload) != p.Digest || model != int64(m.ID) || file != int64(f.ID) ||
				layer != int64(p.Layer) || ordinal != int64(p.Ordinal) {
				t.Errorf("segment %+v is stored as %q, found: %v", p, p.Address.Name, found)
			}
		}
		to := filepath.Join(t.TempDir(), f.Name)
		must(t, r.Export(t.Context(), f, to, false))
		if sum(t, to) != f.Digest {
			t.Errorf("the export of %s differs", f.Name)
		}
	}
	if segments != len(store.payloads) || segments == 0 {
		t.Errorf("%d segments, %d payloads", segments, len(store.payloads))
	}
}
