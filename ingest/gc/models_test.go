package gc_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/gc"
	"github.com/hartonomous/ingest/storage/catalogtest"
)

// TestCollectModelFails: a model that cannot be removed is reported, and gc continues. A lost lease and an
// unreachable catalogue end gc.
func TestCollectModelFails(t *testing.T) {
	for fault, ends := range map[error]bool{errFault: false, ingest.ErrLeaseLost: true, ingest.ErrUnreachable: true} {
		h := newFixture(t)
		h.failAtRecord("half", noise(2*mib, 1), 1)
		failing := catalogtest.Faulty(h.catalog, func(verb string, when catalogtest.Moment) error {
			if verb == "Abandon" && when == catalogtest.Before {
				return fmt.Errorf("abandon: %w", fault)
			}
			return nil
		})
		var refused []string
		c := gc.Collector{Catalog: failing, Store: h.memory, Remove: true, Unfinished: true,
			RefusedModel: func(m ingest.Summary, err error) {
				if refused = append(refused, m.Name); !errors.Is(err, fault) {
					t.Errorf("%s was refused with %v", m.Name, err)
				}
			}}
		sum, err := c.Collect(t.Context(), request("gc"), func(ingest.Object) {})
		if ends && (!errors.Is(err, fault) || len(refused) > 0) || !ends && (err != nil || len(refused) != 1 ||
			sum.Refused != 1) {
			t.Errorf("%v: ended with %v, refused %v", fault, err, refused)
		}
	}
}
