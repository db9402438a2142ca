package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestDryRunOnSmallDisk: --dry-run warns if the disk of the store, or with payloads in rows that of the
// catalogue, is smaller than the new files.
func TestDryRunOnSmallDisk(t *testing.T) {
	huge := filepath.Join(t.TempDir(), "huge.gguf")
	if err := zeros("huge", 7<<40)(huge); err != nil {
		t.Skip("no file of this size here:", err)
	}
	for _, inRows := range []bool{false, true} {
		b := newBox(t, t.TempDir(), inRows)
		e := b.must("models", "--dry-run", huge)
		want := "warning: store dir:"
		if inRows {
			want = "warning: catalogue "
		}
		if !strings.Contains(e.stderr, want) || !strings.Contains(e.stderr, "the run may need 7.0 TiB: ") {
			t.Errorf("in rows %t: %s", inRows, e.stderr)
		}
		if n := number(e.event("summary"), "bytes_free"); n <= 0 || n >= 7<<40 {
			t.Errorf("%d bytes are free", n)
		}
	}
}
