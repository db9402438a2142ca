//go:build unix

package reader

import (
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestWholePipe checks that a pipe at the path is refused without opening it.
func TestWholePipe(t *testing.T) {
	w, file := wholeFake(t)
	path := w.atPath(t, &file)
	os.Remove(path)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no named pipes here:", err)
	}
	r := w.reader(t)
	if _, err := r.Open(t.Context(), file).WriteTo(io.Discard); err == nil ||
		!strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error is %v", err)
	}
	if damage := verified(t, r, file, false); len(damage) != 1 || !damage[0].Replaced() {
		t.Errorf("damage %v", damage)
	}
}
