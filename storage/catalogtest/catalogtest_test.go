package catalogtest_test

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/catalogtest"
	"github.com/hartonomous/ingest/storage/sqlite"
	"github.com/hartonomous/ingest/storage/sqlite/sqlitetest"
)

var errHook = errors.New("hook")

func open(t *testing.T) *sqlite.Catalog {
	t.Helper()
	c := sqlitetest.Open(t, filepath.Join(t.TempDir(), "catalogue.db"))
	return c
}

func jobs(t *testing.T, c ingest.Catalog) int {
	t.Helper()
	n := 0
	for _, err := range c.AllJobs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestFaultyFailsBeforeOrAfterTheEffect(t *testing.T) {
	for moment, want := range map[catalogtest.Moment]int{catalogtest.Before: 0, catalogtest.After: 1} {
		c := open(t)
		faulty := catalogtest.Faulty(c, func(verb string, when catalogtest.Moment) error {
			if verb == "Open" && when == moment {
				return errHook
			}
			return nil
		})
		_, err := faulty.Open(t.Context(), ingest.JobRequest{Pipeline: "models", Source: "x", TTL: time.Hour})
		if !errors.Is(err, errHook) {
			t.Fatalf("error is %v", err)
		}
		if got := jobs(t, c); got != want {
			t.Errorf("%d jobs, want %d", got, want)
		}
	}
}

// brokenCatalog is a catalogue with one model and the given segments.
type brokenCatalog struct {
	ingest.Catalog
	model    ingest.Summary
	segments []ingest.StoredSegment
}

func (l brokenCatalog) Models(context.Context) iter.Seq2[ingest.Summary, error] {
	return func(yield func(ingest.Summary, error) bool) { yield(l.model, nil) }
}

func (l brokenCatalog) Segments(context.Context, ingest.FileID, int64) iter.Seq2[ingest.StoredSegment, error] {
	return func(yield func(ingest.StoredSegment, error) bool) {
		for _, p := range l.segments {
			if !yield(p, nil) {
				return
			}
		}
	}
}

func TestCheckFinds(t *testing.T) {
	a, b := ingest.Sum([]byte("a")), ingest.Sum([]byte("b"))
	for name, c := range map[string]struct {
		spoil func(*brokenCatalog)
		want  string
	}{
		"nothing":              {func(*brokenCatalog) {}, ""},
		"a gap":                {func(l *brokenCatalog) { l.segments[1].Offset++ }, "after byte 5 comes"},
		"a missing end":        {func(l *brokenCatalog) { l.segments = l.segments[:1] }, "its segments end at 5"},
		"a wrong count":        {func(l *brokenCatalog) { l.model.Segments = 3 }, "has 2 segments, its row says 3"},
		"wrong savings":        {func(l *brokenCatalog) { l.model.BytesSaved = 3 }, "save 2 bytes, its row says 3"},
		"no digest":            {func(l *brokenCatalog) { l.model.Files[0].Digest = ingest.Digest{} }, "is incomplete"},
		"a wrong digest":       {func(l *brokenCatalog) { l.model.Files[0].Expected = b }, "is incomplete"},
		"no payload":           {func(l *brokenCatalog) { l.segments[1].Digest = b }, "has a row and no payload"},
		"no name":              {func(l *brokenCatalog) { l.model.Names = nil }, "has no name"},
		"another model's file": {func(l *brokenCatalog) { l.model.Names[0].Files[0].ID = 9 }, "refers to file 9"},
	} {
		t.Run(name, func(t *testing.T) {
			l := brokenCatalog{
				model: ingest.Summary{ID: 1, State: ingest.ModelComplete, Segments: 2, BytesSaved: 2,
					Names: []ingest.Name{{Files: []ingest.NamedFile{{ID: 7}}}},
					Files: []ingest.StoredFile{{ID: 7, Model: 1, Bytes: 8, Recorded: 8, Digest: a}}},
				segments: []ingest.StoredSegment{{File: 7, Bytes: 5, Digest: a,
					Address: ingest.Address{Bytes: 3, Encoding: ingest.Encoding{Codec: "planes"}}},
					{File: 7, Offset: 5, Bytes: 3, Digest: a}},
			}
			c.spoil(&l)
			err := catalogtest.Check(t.Context(), l, func(d ingest.Digest) bool { return d == a })
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}
