package ingest_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// into runs source into a store at an address, as the program does.
func (h *home) into(t *testing.T, store ingest.Store, address string, source ingest.Source) (*ingest.Report, error) {
	t.Helper()
	in := h.ingester(few)
	in.Store, in.StoreAddress = store, address
	request := claim()
	request.Source = address + source.URI
	request.Options = map[string]string{ingest.OptionStore: address}
	return runAs(t, t.Context(), in, request, source)
}

// TestStoresOfACatalogue: the first run claims its store. A second store is warned of, once; so is
// one beside the rows.
func TestStoresOfACatalogue(t *testing.T) {
	h := rowHome(t)
	folder := t.TempDir()
	stores := map[string]ingest.Store{"one": &storetest.Memory{}, "two": &storetest.Memory{}, ingest.StoreRows: nil}
	for i, run := range []struct{ address, warned string }{
		{"one", ""}, {"one", ""}, {"two", "one"}, {"two", ""}, {"one", ""}, {ingest.StoreRows, "one two"}, {ingest.StoreRows, ""},
	} {
		source := file(blob(t, filepath.Join(folder, string(rune('a'+i))), 100, uint64(i)))
		report, err := h.into(t, stores[run.address], run.address, source)
		must(t, err)
		var warned []string
		for _, note := range report.Warnings {
			if note.Path != run.address {
				t.Errorf("run %d: a warning about %s", i, note.Path)
			}
			warned = append(
				warned,
				strings.Fields(strings.TrimPrefix(note.Reason.Error(), "this catalogue has put payloads into "))[0],
			)
		}
		if got := strings.Join(warned, " "); got != run.warned {
			t.Errorf("run %d, into %s: warned of %q, want %q", i, run.address, got, run.warned)
		}
	}
	used, err := ingest.UsedStores(t.Context(), h.catalog)
	if err != nil || len(used) != 2 || used[0].Address != "one" || used[1].Address != "two" {
		t.Errorf("%+v, %v", used, err)
	}
	identity, err := h.catalog.Identity(t.Context())
	must(t, err)
	if owner, err := stores["one"].Owner(t.Context(), ""); err != nil || owner != identity {
		t.Errorf("the owner is %q, %v", owner, err)
	}
}

// TestStoreIsAnothers: a run puts nothing into a store of another catalogue, and opens no job for
// it.
func TestStoreIsAnothers(t *testing.T) {
	h := rowHome(t)
	store := &storetest.Memory{}
	_, err := store.Owner(t.Context(), "another")
	must(t, err)
	source := file(blob(t, filepath.Join(t.TempDir(), "blob"), 100, 1))
	report, err := h.into(t, store, "one", source)
	var foreign *ingest.OwnerError
	if report != nil || !errors.As(err, &foreign) || foreign.Owner != "another" || store.Payloads() != 0 {
		t.Errorf("%+v, %v, %d payloads", report, err, store.Payloads())
	}
	for job := range h.catalog.AllJobs(t.Context()) {
		t.Errorf("job %+v", job)
	}
}

// TestStoreIsLost: a store that has lost its owner, although a job has put payloads into it, is
// another one in its place.
func TestStoreIsLost(t *testing.T) {
	h := rowHome(t)
	folder := t.TempDir()
	_, err := h.into(t, &storetest.Memory{}, "one", file(blob(t, filepath.Join(folder, "a"), 100, 1)))
	must(t, err)
	empty := &storetest.Memory{}
	_, err = h.into(t, empty, "one", file(blob(t, filepath.Join(folder, "b"), 100, 2)))
	var lost *ingest.LostStoreError
	if !errors.As(err, &lost) || lost.Job != 1 || !strings.Contains(err.Error(), "is the disk mounted?") {
		t.Errorf("%v", err)
	}
	if owner, err := empty.Owner(t.Context(), ""); err != nil || owner != "" || empty.Payloads() != 0 {
		t.Errorf("the owner is %q, %v, %d payloads", owner, err, empty.Payloads())
	}
}
