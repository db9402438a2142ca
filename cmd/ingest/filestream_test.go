//go:build linux && amd64

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

// With payloads in FILESTREAM, migrate reports what is not freed, and a dry run and schema check
// count the files of the container.
func TestFilestreamReports(t *testing.T) {
	s := newServerDouble(t)
	b := newBox(t, t.TempDir(), true)
	b.server = s
	sample := filepath.Join(top, "scripts", "sample", "models")
	line := func(r result, event string) string {
		t.Helper()
		for _, object := range r.lines {
			if object["event"] == event {
				return fmt.Sprint(object)
			}
		}
		t.Errorf("no %q in %v", event, r.lines)
		return ""
	}
	plan := b.must("models", sample, "--dry-run")
	var segments float64
	for _, object := range plan.lines {
		if object["event"] == "would take" {
			segments += object["segments"].(float64)
		}
	}
	want := func(files, planned float64) string {
		return fmt.Sprint(map[string]any{"event": "containers", "filegroup": "HartonomousFileStream", "ok": true,
			"files": files, "planned": planned, "containers": 1, "problem": ""})
	}
	if got := line(plan, "containers"); segments == 0 || got != want(0, segments) {
		t.Errorf("before: %s, want %s", got, want(0, segments))
	}
	b.must("models", sample)
	rows, _ := s.payloads()
	if got := line(b.must("models", sample, "--dry-run"), "containers"); got != want(float64(rows), 0) {
		t.Errorf("after: %s, want %s", got, want(float64(rows), 0))
	}
	s.hideTables()
	if got := line(b.run("schema", "check"), "containers"); got != want(float64(rows), 0) {
		t.Errorf("schema check: %s, want %s", got, want(float64(rows), 0))
	}

	migrate := []string{"migrate", "segments", "--to", "dir:" + t.TempDir(), "--store", inRows}
	if copied := b.must(migrate...); strings.Contains(fmt.Sprint(copied.lines), "not_freed") {
		t.Errorf("nothing is cleared, but: %v", copied.lines)
	}
	s.Handle("/* ingest: collect */", func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Result{}, tdstest.Err(15247)
	})
	got := line(b.must(append(migrate, "--clear-source")...), "not_freed")
	for _, part := range []string{"CHECKPOINT;", "BACKUP LOG [Hartonomous]", "garbage collector", "15247"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in %s", part, got)
		}
	}
}

// A server that does not answer does not fail a dry run.
func TestDryRunWithoutServer(t *testing.T) {
	s := newServerDouble(t)
	b := newBox(t, t.TempDir(), true)
	b.server = s
	s.Close()
	r := b.must("models", filepath.Join(top, "scripts", "sample", "models"), "--dry-run")
	if !strings.Contains(r.stderr, "warning: FILESTREAM containers were not checked: ") || len(r.lines) != 3 ||
		number(r.event("summary"), "files_new") != 2 {
		t.Errorf("%v\n%s", r.lines, r.stderr)
	}
}
