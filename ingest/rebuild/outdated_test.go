package rebuild_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
)

// rename renames a model, and does not describe that.
func (f *fixture) rename(id ingest.ModelID, from, to string) {
	f.Helper()
	lease := f.lease()
	f.must(f.catalog.Rename(f.Context(), lease, id, from, to))
	f.must(f.catalog.CloseJob(f.Context(), lease, ingest.Outcome{State: ingest.JobComplete}))
}

// edit replaces what the pattern matches in the only description.
func (f *fixture) edit(pattern, by string) {
	f.Helper()
	for d, err := range f.store.Descriptions(f.Context()) {
		f.must(err)
		lines := f.linesOf(d)
		changed := regexp.MustCompile(pattern).ReplaceAllString(lines, by)
		if changed == lines {
			f.Fatalf("no %s in %s", pattern, lines)
		}
		f.must(f.store.DeleteDescription(f.Context(), d))
		f.put(d.Sequence, changed)
	}
}

func (f *fixture) all(catalog ingest.Catalog) error {
	keeper := describe.Keeper{Catalog: catalog, Store: f.store}
	return keeper.All(f.Context(), f.log())
}

// damagedPayloads is a catalogue in which all small payloads are damaged.
type damagedPayloads struct{ ingest.Catalog }

func (damagedPayloads) ReadPayload(_ context.Context, _ ingest.StoredSegment, into []byte) error {
	clear(into)
	return nil
}

// TestAllDamaged: an outdated description may have the only intact copy of a small payload, so All keeps it
// while that of the catalogue is damaged. It describes the other models.
func TestAllDamaged(t *testing.T) {
	f := newFixture(t)
	small, large := f.ingest("small", content(1, 1)[:100]), f.ingest("large", content(1, 2))
	f.rename(small, "small", "new small")
	f.rename(large, "large", "new large")
	err := f.all(damagedPayloads{f.catalog})
	if err == nil || !strings.Contains(err.Error(), "describe model new small: ") ||
		!strings.Contains(err.Error(), "a payload in the catalogue is damaged") {
		t.Errorf("All: %v", err)
	}
	if got, _ := f.described(); !slices.Equal(got, []string{"[new large]", "[small]"}) {
		t.Errorf("described %v", got)
	}
	f.must(f.all(f.catalog))
	if got, files := f.described(); !slices.Equal(got, []string{"[new large]", "[new small]"}) || files != 2 {
		t.Errorf("described %v in %d files", got, files)
	}
}

// TestAllOtherVersion: All keeps a file of another version, and replaces one that is damaged.
func TestAllOtherVersion(t *testing.T) {
	f := newFixture(t)
	f.ingest("one", content(1, 1))
	f.edit(`"description":1`, `"description":2`)
	f.ingest("two", content(1, 2))
	log := f.log()
	f.store.DamageDescription(log.Files[1].Description)
	f.must(f.all(f.catalog))
	log = f.log()
	if got, files := f.described(); !slices.Equal(got, []string{"[one]", "[two]"}) || files != 2 ||
		!errors.Is(log.Files[0].Err, describe.ErrVersion) || log.Files[1].Err != nil {
		t.Errorf("described %v in %+v", got, log.Files)
	}
}

// TestAllKeepsTime: models are rebuilt in the order in which they were first ingested.
func TestAllKeepsTime(t *testing.T) {
	f := newFixture(t)
	id := f.ingest("one", content(1, 1))
	f.edit(`"ingested":"[^"]*"`, `"ingested":"2001-02-03T04:05:06Z"`)
	f.rename(id, "one", "new")
	f.must(f.all(f.catalog))
	log := f.log()
	if live := log.Live(); len(live) != 1 || live[0].Ingested.Year() != 2001 {
		t.Errorf("live %+v", live)
	}
}

// TestAllMany: a file describes 100 models at most.
func TestAllMany(t *testing.T) {
	f := newFixture(t)
	for i := range 101 {
		f.ingest(fmt.Sprint(i), content(1, 1)[4*i:4*i+4])
	}
	for d, err := range f.store.Descriptions(t.Context()) {
		f.must(err)
		f.must(f.store.DeleteDescription(t.Context(), d))
	}
	f.must(f.all(f.catalog))
	if got, files := f.described(); len(got) != 101 || files != 2 {
		t.Errorf("%d models in %d files", len(got), files)
	}
}
