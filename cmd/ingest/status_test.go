package main

import (
	"strings"
	"testing"
)

// TestJoinPaths: many paths do not fill the screen.
func TestJoinPaths(t *testing.T) {
	if got := joinPaths([]string{"/a b", "/c"}); got != `"/a b" /c` {
		t.Error(got)
	}
	got := joinPaths(make([]string, 100_000))
	if want := strings.Repeat(" ", maxLines) + "and 99980 more"; got != want {
		t.Errorf("%d bytes, want %q", len(got), want)
	}
}

// TestScreenful: the last jobs that fit are drawn with their lines, and no line without its job.
func TestScreenful(t *testing.T) {
	const table = "JOB\n1\n    a\n2\n    b\n    c\n3\n"
	for rows, want := range map[int]string{1: "JOB", 2: "JOB 3", 4: "JOB 3", 5: "JOB 2 b c 3", 6: "JOB 2 b c 3",
		7: "JOB 1 a 2 b c 3"} {
		drawn := screenful(table, 80, rows)
		text, placed := strings.CutPrefix(drawn, "\x1b[H")
		text, cleared := strings.CutSuffix(text, "\x1b[J")
		got := strings.Join(strings.Fields(strings.ReplaceAll(text, "\x1b[K\n", "\n")), " ")
		if !placed || !cleared || got != want || strings.Count(text, "\x1b[K\n") != strings.Count(text, "\n") {
			t.Errorf("%d rows: %q, want %s", rows, drawn, want)
		}
	}
	if got := lastJobs([]string{"1", "2", "    a", "    b", "    c"}, 3); strings.Join(got, "") != "2    b    c" {
		t.Errorf("the last job does not fit: %q", got)
	}
}
