//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestUnreadable ingests a folder and a file that the user may not read: the run names each, and
// continues. It reads a named file in a folder that the user may enter but not list. Root may read
// anything, so a test of root runs the program as another user.
func TestUnreadable(t *testing.T) {
	top, err := os.MkdirTemp("", "ingest-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	models, home := filepath.Join(top, "models"), filepath.Join(top, "home")
	secret, closed := filepath.Join(models, "secret"), filepath.Join(models, "closed.gguf")
	unlisted := filepath.Join(top, "unlisted")
	for _, folder := range []string{home, secret, unlisted} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{filepath.Join(models, "open.gguf"), filepath.Join(secret, "in.gguf"), closed} {
		if err := tuned(filepath.Base(path), 1<<20, 1, 1)(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := tuned("named", 1<<20, 2, 2)(filepath.Join(unlisted, "named.gguf")); err != nil {
		t.Fatal(err)
	}
	modes := map[string]os.FileMode{top: 0o755, home: 0o777, closed: 0, secret: 0, unlisted: 0o711}
	for path, mode := range modes {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.Chmod(secret, 0o700) })
	b := newBox(t, home, false)
	c := b.command("models", models, filepath.Join(unlisted, "named.gguf"))
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	e := b.wait(c)
	refused, taken := map[any]string{}, map[any]bool{}
	for _, line := range e.lines {
		if line["event"] == "taken" {
			taken[line["name"]] = true
		}
		if line["event"] == "refused" {
			refused[line["path"]] = line["reason"].(string)
		}
	}
	if e.code != exitSomeRefused || !taken["open.gguf"] || !taken["named"] {
		t.Errorf("exit code %d, %v\n%s", e.code, e.lines, e.stderr)
	}
	if len(refused) != 2 || !strings.Contains(refused[secret], "permission denied") ||
		!strings.Contains(refused[closed], "permission denied") {
		t.Errorf("refused: %v", refused)
	}
}
