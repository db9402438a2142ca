package gc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/gc"
	"github.com/hartonomous/ingest/storage/sqlite/sqlitetest"
	"github.com/hartonomous/ingest/storage/storetest"
)

// collectDescribed is collect with descriptions of models. It returns the error.
func (h *fixture) collectDescribed(c gc.Collector) (gc.Collection, error) {
	h.Helper()
	c.Catalog, c.Store, c.Descriptions = h.catalog, h.memory, h.memory
	return c.Collect(h.Context(), request("gc"), func(ingest.Object) {})
}

// lose replaces the catalogue by a new one with the same identity.
func (h *fixture) lose() {
	h.Helper()
	identity, err := h.catalog.Identity(h.Context())
	h.must(err)
	h.catalog = sqlitetest.Open(h.T, filepath.Join(h.TempDir(), "catalogue.db"))
	h.must(h.catalog.Adopt(h.Context(), identity))
}

// TestCollectUnknown: nothing is removed while the store describes models that the catalogue does not have.
func TestCollectUnknown(t *testing.T) {
	h := newFixture(t)
	h.described = true
	for i := range 7 {
		h.ingest(fmt.Sprint("m", i), noise(mib, uint64(i)))
	}
	if sum, err := h.collectDescribed(gc.Collector{Remove: true}); err != nil || sum.Payloads != 0 {
		t.Fatalf("with the catalogue: %+v, %v", sum, err)
	}
	h.lose()
	h.ingest("known", noise(mib, 10))
	before := h.names()
	_, err := h.collectDescribed(gc.Collector{Remove: true})
	if err == nil || !slices.Equal(h.names(), before) || strings.Contains(err.Error(), "known") ||
		!strings.Contains(err.Error(), `does not have: m0, m1, m2, m3, m4 and 2 more.`) {
		t.Errorf("%v, %d of %d objects left", err, len(h.names()), len(before))
	}
	if sum, err := h.collectDescribed(gc.Collector{}); err != nil || sum.Payloads != 7 {
		t.Errorf("without Remove: %+v, %v", sum, err)
	}
	if sum, err := h.collectDescribed(gc.Collector{Remove: true, Unfinished: true}); err != nil || sum.Payloads != 7 {
		t.Errorf("with Unfinished: %+v, %v", sum, err)
	}
	if sum, err := h.collectDescribed(gc.Collector{Remove: true}); err != nil || sum.Payloads != 0 {
		t.Errorf("after that: %+v, %v", sum, err)
	}
	h.check()
}

// TestCollectRebuilt: after a rebuild that failed, did not end or found payloads of no model, nothing is
// removed until they are given up, or another rebuild has found all.
func TestCollectRebuilt(t *testing.T) {
	complete, failed := ingest.Outcome{State: ingest.JobComplete}, ingest.Outcome{State: ingest.JobFailed}
	found := complete
	found.Problems = []ingest.Problem{{Reason: "no model has 3 payloads"}}
	for name, c := range map[string]struct {
		outcomes []ingest.Outcome
		refused  bool
	}{
		"all rebuilt":             {[]ingest.Outcome{complete}, false},
		"failed":                  {[]ingest.Outcome{failed}, true},
		"payloads of no model":    {[]ingest.Outcome{found}, true},
		"interrupted":             {[]ingest.Outcome{{State: ingest.JobOpen}}, true},
		"failed, then all":        {[]ingest.Outcome{failed, complete}, false},
		"failed after the others": {[]ingest.Outcome{complete, failed}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t)
			h.orphan(noise(10, 3))
			for _, outcome := range c.outcomes {
				job, err := h.catalog.Open(t.Context(), request("rebuild"))
				h.must(err)
				h.must(h.catalog.CloseJob(t.Context(), job, outcome))
			}
			_, err := h.collectDescribed(gc.Collector{Remove: true})
			refused := err != nil && strings.Contains(err.Error(), "may not have rebuilt all models")
			if refused != c.refused || h.memory.Payloads() == 0 == c.refused {
				t.Fatalf("%v, %d payloads left", err, h.memory.Payloads())
			}
			if _, err := h.collectDescribed(gc.Collector{Unfinished: true}); err != nil {
				t.Error(err)
			}
			if _, err := h.collectDescribed(gc.Collector{Remove: true}); err != nil != c.refused {
				t.Errorf("after gc without Remove: %v", err)
			}
			_, err = h.collectDescribed(gc.Collector{Remove: true, Unfinished: true})
			h.must(err)
			_, err = h.collectDescribed(gc.Collector{Remove: true})
			h.must(err)
			if n := h.memory.Payloads(); n != 0 {
				t.Errorf("%d payloads left", n)
			}
		})
	}
}

// full is a store that writes descriptions only if it has at most this number of payloads.
type full struct {
	*storetest.Memory
	payloads int
}

func (f full) PutDescription(ctx context.Context, d ingest.Description, content io.ReaderAt) error {
	if f.Payloads() > f.payloads {
		return errFault
	}
	return f.Memory.PutDescription(ctx, d, content)
}

// TestCollectFull: descriptions that do not fit into the store are written after payloads were deleted.
func TestCollectFull(t *testing.T) {
	h := newFixture(t)
	h.ingest("a", noise(mib, 1))
	h.orphan(noise(10, 3))
	c := gc.Collector{Catalog: h.catalog, Store: h.memory, Remove: true}
	for payloads, want := range []error{errFault, nil} {
		c.Descriptions = full{h.memory, payloads}
		if _, err := c.Collect(t.Context(), request("gc"), func(ingest.Object) {}); !errors.Is(err, want) {
			t.Errorf("in a store for %d payloads: %v", payloads, err)
		}
		if payloads == 0 {
			h.orphan(noise(10, 3))
		}
	}
	n := 0
	for _, err := range h.memory.Descriptions(t.Context()) {
		h.must(err)
		n++
	}
	if n != 1 || h.memory.Payloads() != 1 {
		t.Errorf("%d descriptions, %d payloads", n, h.memory.Payloads())
	}
}
