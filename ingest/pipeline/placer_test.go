package pipeline_test

import (
	"context"
	"fmt"
	"os"
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

func (s *shelves) PutAt(_ context.Context, p ingest.Position, _ ingest.Digest, payload []byte) (ingest.Address, error) {
	return s.lay(fmt.Sprintf("%d/%d/%d/%d/%s", p.Model, p.File, p.Layer, p.Ordinal, p.Type), payload), nil
}

func (s *shelves) ReplaceAt(_ context.Context, address ingest.Address, _ ingest.Digest, payload []byte) (ingest.Address, error) {
	return s.lay(address.Name, payload), nil
}

func (s *shelves) Get(_ context.Context, _ ingest.Digest, address ingest.Address, _ []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	payload, ok := s.laid[address.Name]
	if !ok {
		return nil, ingest.ErrNoPayload
	}
	return append([]byte(nil), payload...), nil
}

func (s *shelves) Probe(ctx context.Context, digest ingest.Digest, address ingest.Address) error {
	payload, err := s.Get(ctx, digest, address, nil)
	if err == nil && ingest.Sum(payload) != digest {
		err = fmt.Errorf("it holds something else")
	}
	return err
}

// TestPlacer: a store that goes by position is told of each row's own, and a payload is found, asked about and repaired there.
func TestPlacer(t *testing.T) {
	source := splits(t, t.TempDir())
	h := storeHome(t)
	store := &shelves{}
	in := h.ingester(few)
	in.Store = store
	report, err := run(t, t.Context(), in, source)
	if err != nil || len(report.Ingested) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	v := ingest.Verifier{Catalog: h.catalog, Payloads: ingest.Payloads{Store: store}, Options: few}
	m := h.models(t)[0]
	pieces := 0
	for _, f := range m.Files {
		for p, err := range h.catalog.Segments(t.Context(), f.ID, 0) {
			must(t, err)
			pieces++
			payload, there := store.laid[p.Address.Name]
			var model, file, layer, ordinal int64
			fmt.Sscanf(p.Address.Name, "%d/%d/%d/%d/", &model, &file, &layer, &ordinal)
			if !there || ingest.Sum(payload) != p.Digest || model != int64(m.ID) || file != int64(f.ID) || layer != int64(p.Layer) || ordinal != int64(p.Ordinal) {
				t.Errorf("piece %+v lies at %q, there: %v", p, p.Address.Name, there)
			}
		}
		must(t, v.Probe(t.Context(), f, func(d ingest.Damage) { t.Errorf("%+v", d) }))
		e := ingest.Exporter{Catalog: h.catalog, Payloads: v.Payloads, Options: few}
		to := filepath.Join(t.TempDir(), f.Name)
		must(t, e.Export(t.Context(), f, to, false))
		if sum(t, to) != f.Digest {
			t.Errorf("%s came back as another file", f.Name)
		}
	}
	if pieces != len(store.laid) || pieces == 0 {
		t.Errorf("%d pieces, %d payloads", pieces, len(store.laid))
	}
}

// TestProbe: what a store says of a payload is damage, missing or fine, and both can be repaired.
func TestProbe(t *testing.T) {
	path := blob(t, filepath.Join(t.TempDir(), "blob"), 4*mib, 1)
	h := storeHome(t)
	store := &shelves{}
	in := h.ingester(few)
	in.Store = store
	_, err := run(t, t.Context(), in, file(path))
	must(t, err)
	m := h.models(t)[0]
	f := m.Files[0]
	var names []string
	for p, err := range h.catalog.Segments(t.Context(), f.ID, 0) {
		must(t, err)
		names = append(names, p.Address.Name)
	}
	store.laid[names[1]][7]++
	delete(store.laid, names[3])
	source, err := os.Open(path)
	must(t, err)
	defer source.Close()
	for _, repair := range []bool{false, true} {
		v := ingest.Verifier{Catalog: h.catalog, Payloads: ingest.Payloads{Store: store}, Options: few}
		if repair {
			v.Repair = source
		}
		damaged, missing := 0, 0
		must(t, v.Probe(t.Context(), f, func(d ingest.Damage) {
			if d.Repaired != repair {
				t.Errorf("%+v", d)
			}
			if d.Missing() {
				missing++
			} else {
				damaged++
			}
		}))
		if damaged != 1 || missing != 1 {
			t.Errorf("%d damaged, %d missing", damaged, missing)
		}
	}
	v := ingest.Verifier{Catalog: h.catalog, Payloads: ingest.Payloads{Store: store}, Options: few}
	must(t, v.Verify(t.Context(), f, func(d ingest.Damage) { t.Errorf("after the repair: %+v", d) }))
	v.Payloads.Store = h.memory
	if err := v.Probe(t.Context(), f, nil); err == nil {
		t.Error("a store that cannot tell was asked")
	}
}
