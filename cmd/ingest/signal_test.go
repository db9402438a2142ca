//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slowSources are read for more than a second, mostly after the first batch.
func slowSources(t *testing.T) sources {
	return newSources(t, map[string]func(string) error{"a.gguf": noise("a", 40<<20, 1),
		"hollow.gguf": hollow("hollow", 2000<<20)})
}

// TestInterrupt asks a run to stop: it commits its pending batches, and says how to continue; resume reads the rest.
func TestInterrupt(t *testing.T) {
	s := slowSources(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			b := newBox(t, t.TempDir(), false)
			c := b.startAmid("models", s.folder, "--jobs", "1")
			c.Process.Signal(signal)
			c.Process.Signal(syscall.SIGCONT)
			e := b.wait(c)
			summary := e.event("summary")
			if e.code != exitInterrupted || summary["interrupted"] != true {
				t.Fatalf("exit code %d, summary %v\n%s", e.code, summary, e.stderr)
			}
			for _, want := range []string{"stopping after the pending batches",
				"`ingest resume 1` or the same command continues"} {
				if !strings.Contains(e.stderr, want) {
					t.Errorf("stderr says not %q:\n%s", want, e.stderr)
				}
			}
			if state := b.must("status").lines[0]["state"]; state != "interrupted" {
				t.Errorf("status says %v", state)
			}
			before := b.look(s.truth)
			if read := number(summary, "bytes_read"); read != before.recorded {
				t.Errorf("%d bytes were read and %d recorded", read, before.recorded)
			}
			summary = b.must("resume").event("summary")
			if read := number(summary, "bytes_read"); read != s.bytes-before.recorded+before.again ||
				summary["continued"] != true {
				t.Errorf("%d bytes had no rows; %v", s.bytes-before.recorded, summary)
			}
			if after := b.look(s.truth); after.open != 0 || after.recorded != s.bytes {
				t.Errorf("after resume %d models are open, %d of %d bytes recorded", after.open, after.recorded,
					s.bytes)
			}
		})
	}
}

// TestInterruptTwice has the catalogue locked, so that the first signal cannot end the run; the second does.
func TestInterruptTwice(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.startAmid("models", s.folder, "--jobs", "1")
	release := b.lock()
	c.Process.Signal(syscall.SIGINT)
	c.Process.Signal(syscall.SIGCONT)
	time.Sleep(300 * time.Millisecond) // a second signal at once would be taken for the same one
	c.Process.Signal(syscall.SIGINT)
	e := b.wait(c)
	release()
	if e.code != exitInterrupted || !strings.Contains(e.stderr, "ingest: stopped;") || e.event("summary") != nil {
		t.Errorf("exit code %d, %v\n%s", e.code, e.lines, e.stderr)
	}
	b.look(s.truth)
	b.must("resume")
	if after := b.look(s.truth); after.recorded != s.bytes {
		t.Errorf("after resume %d of %d bytes are recorded", after.recorded, s.bytes)
	}
}

// TestInterruptExport stops an export, which leaves nothing behind.
func TestInterruptExport(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder)
	folder := t.TempDir()
	c := b.command("export", s.truth[s.path("hollow.gguf")].String(), "-o", filepath.Join(folder, "out.gguf"))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	b.until("a part of the file", func() bool {
		found, _ := filepath.Glob(filepath.Join(folder, "*"))
		return len(found) > 0
	})
	c.Process.Signal(syscall.SIGINT)
	if e := b.wait(c); e.code != exitInterrupted {
		t.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
	if found, _ := filepath.Glob(filepath.Join(folder, "*")); len(found) > 0 {
		t.Errorf("it left %v", found)
	}
	// A verification has nothing to clean up, and shows nothing before its end: the first signals may come too early.
	code := -1
	for after := 20 * time.Millisecond; code == -1; after *= 2 {
		c := b.command("verify")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after)
		c.Process.Signal(syscall.SIGINT)
		code = b.wait(c).code
	}
	if code != exitInterrupted {
		t.Errorf("verify: exit code %d", code)
	}
}
