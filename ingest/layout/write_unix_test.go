//go:build unix

package layout

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestWriterDoesNotWaitAtPipes hangs if a pipe in place of a list is opened.
func TestWriterDoesNotWaitAtPipes(t *testing.T) {
	w, _ := newWriter(t, true)
	if err := os.MkdirAll(w.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(w.Folder, "index.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := w.Write(t.Context(), []Entry{imageIndex("", "a", descriptor{}, new(string))})
	if err == nil || !strings.Contains(err.Error(), "it is a pipe") {
		t.Errorf("error is %v", err)
	}
}
