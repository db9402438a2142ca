package dir

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

const diskFull = windows.ERROR_DISK_FULL

func TestLongPaths(t *testing.T) {
	root := t.TempDir()
	for range 12 {
		root = filepath.Join(root, strings.Repeat("x", 40))
	}
	put(t, open(t, root), payload(100_000))
	for path, want := range map[string]string{
		`D:\a`: `\\?\D:\a`, `\\host\share\a`: `\\?\UNC\host\share\a`, `\\?\D:\a`: `\\?\D:\a`,
	} {
		if got := long(path); got != want {
			t.Errorf("long(%s) = %s, want %s", path, got, want)
		}
	}
}
