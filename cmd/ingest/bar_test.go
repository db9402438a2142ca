package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"

	"github.com/hartonomous/ingest/ingest"
)

// TestBarScreens compares bars with testdata/screens. Each has fewer columns than its terminal.
func TestBarScreens(t *testing.T) {
	const gib = 1 << 30
	running := snapshot{done: 7*gib + gib/2, total: 60 * gib, files: 1, allFiles: 12, rate: 310 << 20,
		left: 2*time.Minute + 53*time.Second, name: "llama3:8b"}
	with := func(change func(*snapshot)) snapshot {
		s := running
		change(&s)
		return s
	}
	states := []snapshot{{}, {total: 60 * gib, allFiles: 12}, running,
		with(func(s *snapshot) { s.name = strings.Repeat("long-", 20) }),
		with(func(s *snapshot) { s.name = strings.Repeat("漢字", 20) }),
		with(func(s *snapshot) { s.name = "a\x1b]0;owned\a\nb\xff" }),
		with(func(s *snapshot) { s.notice = "retrying: server busy, attempt 3 of 8" }),
		with(func(s *snapshot) { s.notice = "no answer from disk or server for 34s" }),
		with(func(s *snapshot) { s.done, s.left = s.total-1, time.Second }),
		with(func(s *snapshot) { s.done, s.files, s.name, s.left = s.total, 12, "", 0 })}
	var screens strings.Builder
	for _, columns := range []int{10, 40, 60, 80, 200} {
		fmt.Fprintf(&screens, "%s %d columns\n", strings.Repeat("-", columns), columns)
		for _, s := range states {
			bar := s.bar(columns)
			if width := uniseg.StringWidth(bar); width >= columns {
				t.Errorf("%d of %d columns: %q", width, columns, bar)
			}
			screens.WriteString(bar + "\n")
		}
	}
	screens.WriteString("in a log\n")
	for _, s := range states {
		screens.WriteString(s.line() + "\n")
	}
	name := filepath.Join("testdata", "screens", "bar.txt")
	if *update {
		if err := os.WriteFile(name, []byte(screens.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got := screens.String(); got != readPage(t, name) {
		t.Errorf("go test ./cmd/ingest -run TestBarScreens -update writes %s:\n%s", name, got)
	}
}

// TestWatch: bytes of earlier runs are no speed, an estimate needs five seconds, a wait is named, and a
// retry is shown until its pause ends and bytes move.
func TestWatch(t *testing.T) {
	const mib = 1 << 20
	progress, begun := &ingest.Progress{}, time.Now()
	progress.BytesTotal.Store(1000 * mib)
	w := &watch{}
	w.begin(progress, begun)
	progress.BytesRecorded.Add(500 * mib)
	progress.BytesResumed.Add(500 * mib)
	check := func(seconds int, rate int64, left time.Duration, notice string) {
		t.Helper()
		s := w.look(begun.Add(time.Duration(seconds) * time.Second))
		if s.rate/mib != rate || s.left != left || s.notice != notice {
			t.Errorf("after %d s: %d MiB/s, %s left, %q; want %d, %s, %q", seconds, s.rate/mib, s.left, s.notice,
				rate, left, notice)
		}
	}
	check(1, 0, 0, "")
	progress.BytesRecorded.Add(20 * mib)
	check(2, 10, 0, "")
	progress.BytesRecorded.Add(80 * mib)
	check(10, 10, 40*time.Second, "")
	check(19, 5, 76*time.Second, "")
	check(20, 5, 80*time.Second, "no answer from disk or server for 10s")
	w.retrying("retrying: server busy, attempt 2 of 8", begun.Add(30*time.Second))
	check(21, 4, 84*time.Second, "retrying: server busy, attempt 2 of 8")
	progress.BytesRead.Add(1)
	check(29, 3, 116*time.Second, "retrying: server busy, attempt 2 of 8")
	progress.BytesRead.Add(1)
	check(31, 3, 120*time.Second, "")
}
