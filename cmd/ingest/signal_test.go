//go:build unix

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slowSources have a file of three batches, so that a process can be suspended in the middle.
func slowSources(t *testing.T) sources {
	return newSources(t, map[string]func(string) error{"a.gguf": noise("a", 40<<20, 1),
		"zeros.gguf": zeros("zeros", 640<<20)})
}

// TestInterrupt: an interrupted run commits its pending batches, and resume reads the rest.
func TestInterrupt(t *testing.T) {
	s := slowSources(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			b := newBox(t, t.TempDir(), false)
			c := b.suspendMidFile("models", s.folder, "--jobs", "1")
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
					t.Errorf("stderr lacks %q:\n%s", want, e.stderr)
				}
			}
			if state := b.must("status").lines[0]["state"]; state != "interrupted" {
				t.Errorf("status says %v", state)
			}
			before := b.audit(s.digests)
			if read := number(summary, "bytes_read"); read != before.recorded {
				t.Errorf("%d bytes were read and %d recorded", read, before.recorded)
			}
			summary = b.must("resume").event("summary")
			if read := number(summary, "bytes_read"); read != s.bytes-before.recorded+before.reread ||
				summary["continued"] != true {
				t.Errorf("%d bytes had no rows; %v", s.bytes-before.recorded, summary)
			}
			if after := b.audit(s.digests); after.open != 0 || after.recorded != s.bytes {
				t.Errorf("after resume %d models are open, %d of %d bytes recorded", after.open, after.recorded,
					s.bytes)
			}
		})
	}
}

// TestInterruptTwice locks the catalogue: the first signal cannot end the run, and the second does.
func TestInterruptTwice(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.suspendMidFile("models", s.folder, "--jobs", "1")
	release := b.lock()
	c.Process.Signal(syscall.SIGINT)
	c.Process.Signal(syscall.SIGCONT)
	time.Sleep(300 * time.Millisecond) // the system merges two signals that are pending at once
	c.Process.Signal(syscall.SIGINT)
	e := b.wait(c)
	release()
	want := "ingest: stopped; recorded batches are kept: `ingest resume 1` or the same command continues job 1"
	if e.code != exitInterrupted || !strings.Contains(e.stderr, want) || e.event("summary") != nil {
		t.Errorf("exit code %d, %v\n%s", e.code, e.lines, e.stderr)
	}
	b.audit(s.digests)
	b.must("resume")
	if after := b.audit(s.digests); after.recorded != s.bytes {
		t.Errorf("after resume %d of %d bytes are recorded", after.recorded, s.bytes)
	}
}

// TestInterruptExport: an interrupted export leaves no file.
func TestInterruptExport(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"zeros.gguf": zeros("zeros", 2000<<20)})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder)
	folder := t.TempDir()
	c := b.command("export", s.digests[s.path("zeros.gguf")].String(), "-o", filepath.Join(folder, "out.gguf"))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	b.waitFor("a part of the file", func() bool {
		found, _ := filepath.Glob(filepath.Join(folder, "*"))
		return len(found) > 0
	})
	c.Process.Signal(syscall.SIGINT)
	if e := b.wait(c); e.code != exitInterrupted || !strings.Contains(e.stderr, "stopping (interrupt again") {
		t.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
	if found, _ := filepath.Glob(filepath.Join(folder, "*")); len(found) > 0 {
		t.Errorf("it left %v", found)
	}
	// verify prints nothing before its end. The first signals may come before its handler.
	e := result{code: -1}
	for after := 20 * time.Millisecond; e.code == -1; after *= 2 {
		c := b.command("verify")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after)
		c.Process.Signal(syscall.SIGINT)
		e = b.wait(c)
	}
	if e.code != exitInterrupted || strings.Contains(e.stderr, "context canceled") {
		t.Errorf("verify: exit code %d\n%s", e.code, e.stderr)
	}
}

// TestInterruptMigration: whenever a migration is interrupted, resume continues it.
func TestInterruptMigration(t *testing.T) {
	files := map[string]func(string) error{}
	for i := range 20 {
		files[fmt.Sprintf("%02d.gguf", i)] = noise(fmt.Sprint("m", i), 3<<20, uint64(i))
	}
	s := newSources(t, files)
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder, "--store", "row", "--segment-size", "1MiB")
	interrupted, rounds := 0, []int{0, 1, 2, 3, 4, 5, 6, 7}
	if testing.Short() {
		rounds = []int{0, 4}
	}
	for _, round := range rounds {
		to := fmt.Sprint("dir:", filepath.Join(t.TempDir(), "store"))
		c := b.command("migrate", "segments", "--to", to, "--store", inRows, "--clear-source")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		b.waitFor("a payload", func() bool {
			found, _ := filepath.Glob(filepath.Join(strings.TrimPrefix(to, "dir:"), "sha256", "*", "*"))
			return len(found) > round
		})
		c.Process.Signal(syscall.SIGINT)
		if e := b.wait(c); e.code == exitInterrupted {
			interrupted++
			_, after, _ := strings.Cut(e.stderr, "`ingest resume ")
			number, _, _ := strings.Cut(after, "`")
			if e := b.must("resume", number); e.event("summary") == nil {
				t.Errorf("resume %s did nothing: %s", number, e.stderr)
			}
		} else if e.code != exitDone {
			t.Errorf("exit code %d\n%s", e.code, e.stderr)
		}
		sum := b.must("migrate", "segments", "--to", to, "--store", inRows).event("summary")
		if count(sum, "copied") != 0 || count(sum, "both") != 0 {
			t.Errorf("left after resume: %v", sum)
		}
		for _, job := range b.must("status").lines {
			if job["state"] == "interrupted" {
				t.Errorf("a job is still interrupted: %v", job)
			}
		}
		b.must("migrate", "segments", "--to", inRows, "--store", to, "--clear-source")
	}
	if interrupted == 0 {
		t.Error("no run was interrupted")
	}
}
