package ingest_test

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

func (s *shelves) Put(_ context.Context, key ingest.Key, payload []byte) (ingest.Address, error) {
	return s.lay(fmt.Sprintf("%d/%d/%d/%d/%s", key.Model, key.File, key.Layer, key.Ordinal, key.Type), payload), nil
}

func (s *shelves) Replace(_ context.Context, _ ingest.Digest, address ingest.Address, payload []byte) (ingest.Address, error) {
	return s.lay(address.Name, payload), nil
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

func (s *shelves) Stat(_ context.Context, digest ingest.Digest, address ingest.Address) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	payload, ok := s.laid[address.Name]
	switch {
	case !ok:
		return false, ingest.ErrNoPayload
	case ingest.Sum(payload) != digest:
		return false, fmt.Errorf("it holds something else")
	}
	return true, nil
}

// TestPositions: a store that goes by position is told of each row's own, and a payload is found, asked about and repaired there.
func TestPositions(t *testing.T) {
	source := splits(t, t.TempDir())
	h := storeHome(t)
	store := &shelves{}
	in := h.ingester(few)
	in.Store, in.Unshared = store, true
	report, err := run(t, t.Context(), in, source)
	if err != nil || len(report.Ingested) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	v := ingest.Verifier{Catalog: h.catalog, Payloads: ingest.Payloads{Store: store}, Options: few}
	m := h.models(t)[0]
	pieces := 0
	for _, f := range m.Files {
		for p, err := range h.catalog.Segments(t.Context(), f.ID) {
			must(t, err)
			pieces++
			payload, there := store.laid[p.Address.Name]
			var model, file, layer, ordinal int64
			fmt.Sscanf(p.Address.Name, "%d/%d/%d/%d/", &model, &file, &layer, &ordinal)
			if !there || ingest.Sum(payload) != p.Digest || model != int64(m.ID) || file != int64(f.ID) || layer != int64(p.Layer) || ordinal != int64(p.Ordinal) {
				t.Errorf("piece %+v lies at %q, there: %v", p, p.Address.Name, there)
			}
		}
		must(t, v.Verify(t.Context(), f, func(d ingest.Damage) { t.Errorf("%+v", d) }))
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

// TestStat: what a store says of a payload is damage, missing or fine, and both can be repaired.
func TestStat(t *testing.T) {
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
	for p, err := range h.catalog.Segments(t.Context(), f.ID) {
		must(t, err)
		names = append(names, p.Address.Name)
	}
	store.laid[names[1]][7]++
	delete(store.laid, names[3])
	source, err := ingest.OpenSource(path)
	must(t, err)
	defer source.Close()
	for _, repair := range []bool{false, true} {
		v := ingest.Verifier{Catalog: h.catalog, Payloads: ingest.Payloads{Store: store}, Options: few}
		if repair {
			v.Repair = source
		}
		damaged, missing := 0, 0
		must(t, v.Verify(t.Context(), f, func(d ingest.Damage) {
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
	for _, read := range []bool{false, true} {
		progress := &ingest.Progress{}
		v := ingest.Verifier{Catalog: h.catalog, Payloads: ingest.Payloads{Store: store}, Options: few, Read: read, Progress: progress}
		must(t, v.Verify(t.Context(), f, func(d ingest.Damage) { t.Errorf("after the repair: %+v", d) }))
		if attested := progress.BytesAttested.Load(); attested == 0 != read || progress.BytesRecorded.Load() != f.Bytes {
			t.Errorf("read %v: the store vouched for %d bytes", read, attested)
		}
	}
}
