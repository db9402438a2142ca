//go:build unix

package source

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPipe: Open and open do not wait for the writer of a pipe, also if it replaced a file after
// its name was resolved.
func TestPipe(t *testing.T) {
	root := folder(t, nil)
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = "it is a pipe, not a regular file"
	if _, err := Open(filepath.Join(root, "pipe"), root); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a pipe: %v", err)
	}
	if _, err := open(root, "pipe"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a pipe in place of a file: %v", err)
	}
	const device = "it is a device, not a regular file"
	if _, err := Open("/dev/null", ""); err == nil || !strings.Contains(err.Error(), device) {
		t.Errorf("a device: %v", err)
	}
}
