package pipeline_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// shelves is a store that goes by position, and can be asked about what it holds.
type shelves struct {
	storetest.Memory
	mu   sync.Mutex
	laid map[string][]byte
}

func (s *shelves) lay(name string, payload []byte) ingest.Address {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.laid == nil {
		s.laid = map[string][]byte{}
	}
	s.laid[name] = append([]byte(nil), payload...)
	return ingest.Address{URI: "shelf:" + name, Name: name, Bytes: int64(len(payload))}
}

func (s *shelves) Put(_ context.Context, k ingest.Key, payload []byte) (ingest.Address, error) {
	return s.lay(fmt.Sprintf("%d/%d/%d/%d/%s", k.Model, k.File, k.Layer, k.Ordinal, k.Type), payload), nil
}

func (s *shelves) Get(_ context.Context, _ ingest.Digest, address ingest.Address, offset int64, into []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	payload, ok := s.laid[address.Name]
	if !ok {
		return ingest.ErrNoPayload
	}
	copy(into, payload[offset:])
	return nil
}

// TestPosition: a store that goes by position is told of each row's own, and a payload is found there.
func TestPosition(t *testing.T) {
	source := splits(t, t.TempDir())
	h := storeHome(t)
	store := &shelves{}
	in := h.ingester(few)
	in.Store, in.Unshared = store, true
	report, err := run(t, t.Context(), in, source)
	if err != nil || len(report.Ingested) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	r := h.reader()
	r.Store = store
	m := h.models(t)[0]
	pieces := 0
	for _, f := range m.Files {
		for p, err := range h.catalog.Segments(t.Context(), f.ID, 0) {
			must(t, err)
			pieces++
			payload, there := store.laid[p.Address.Name]
			var model, file, layer, ordinal int64
			fmt.Sscanf(p.Address.Name, "%d/%d/%d/%d/", &model, &file, &layer, &ordinal)
			if !there || ingest.Sum(payload) != p.Digest || model != int64(m.ID) || file != int64(f.ID) ||
				layer != int64(p.Layer) || ordinal != int64(p.Ordinal) {
				t.Errorf("piece %+v lies at %q, there: %v", p, p.Address.Name, there)
			}
		}
		to := filepath.Join(t.TempDir(), f.Name)
		must(t, r.Export(t.Context(), f, to, false))
		if sum(t, to) != f.Digest {
			t.Errorf("%s came back as another file", f.Name)
		}
	}
	if pieces != len(store.laid) || pieces == 0 {
		t.Errorf("%d pieces, %d payloads", pieces, len(store.laid))
	}
}
