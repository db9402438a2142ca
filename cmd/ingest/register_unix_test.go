//go:build unix

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// TestRegisterInterrupted interrupts a run in the middle of a file: registered models stay, and the
// same command continues the job.
func TestRegisterInterrupted(t *testing.T) {
	b := newBox(t, t.TempDir(), true)
	folder := t.TempDir()
	first, second := filepath.Join(folder, "a.dat"), filepath.Join(folder, "b.dat")
	if err := os.WriteFile(first, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(second, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(second, 1<<40); err != nil { // takes hours to read
		t.Skip("this file system cannot hold a sparse file of 1 TiB:", err)
	}
	c := b.beside("register", folder, "--opaque-files")
	for b.countModels() == 0 {
		if c.over() {
			t.Fatalf("it ended before it was interrupted: %+v", b.result(c.Cmd))
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.Process.Signal(syscall.SIGTERM)
	<-c.ended
	e := b.result(c.Cmd)
	if e.code != exitInterrupted || !strings.Contains(e.stderr, "run the same command again") ||
		number(e.event("summary"), "registered") != 1 || number(e.event("summary"), "refused") != 0 {
		t.Fatalf("exit code %d, summary %v\n%s", e.code, e.event("summary"), e.stderr)
	}
	if state := b.must("status").lines[0]["state"]; state != "interrupted" {
		t.Errorf("status says %v", state)
	}
	if err := os.Truncate(second, 5); err != nil {
		t.Fatal(err)
	}
	summary := b.must("register", folder, "--opaque-files").event("summary")
	if number(summary, "job") != 1 || number(summary, "registered") != 1 || number(summary, "skipped") != 1 {
		t.Errorf("summary %v", summary)
	}
	if n := wholeRegistered(t, b, 0); n != 2 {
		t.Errorf("%d models are registered", n)
	}
}

// countModels counts the registered models of a catalogue, which another process may be creating.
func (b box) countModels() (n int) {
	b.Helper()
	if _, err := os.Stat(b.catalog); err != nil {
		return 0
	}
	c, err := b.database().open(context.Background())
	if err != nil {
		return 0
	}
	defer c.Close()
	for m, err := range c.Models(context.Background()) {
		if err == nil && m.State == ingest.ModelRegistered {
			n++
		}
	}
	return n
}
