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
