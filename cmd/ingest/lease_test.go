//go:build unix

package main

import (
	"database/sql"
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestSamePath has a second process ask for the job of a first one, which is at work.
func TestSamePath(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.start(jobRuns, "models", s.folder)
	b.stop(c)
	if state := b.must("status").lines[0]["state"]; state != "running" {
		t.Errorf("status says %v", state)
	}
	for _, args := range [][]string{{"models", s.folder}, {"resume", "1"}, {"gc", "--yes"}} {
		e := b.run(args...)
		who := fmt.Sprintf("is being worked on by process %d on ", c.Process.Pid)
		if e.code != exitFailed || !strings.Contains(e.stderr, who) || !strings.Contains(e.stderr, "hint: wait until it has ended") {
			t.Errorf("%s: exit code %d, want %q\n%s", args[0], e.code, who, e.stderr)
		}
	}
	if e := b.must("resume"); len(e.lines) != 0 {
		t.Errorf("resume took up what is running: %v", e.lines)
	}
	c.Process.Signal(syscall.SIGCONT)
	if e := b.wait(c); e.code != exitDone {
		t.Errorf("the first one: exit code %d\n%s", e.code, e.stderr)
	}
	b.look(s.truth)
}

// TestTakenOver has a process sleep until its lease lapses and another takes over. When it wakes up it changes nothing.
func TestTakenOver(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.start(rowsWritten, "models", s.folder, "--jobs", "1")
	b.stop(c)
	b.exec(`UPDATE IngestionJobs SET LeaseExpiresMs = 1 WHERE LeaseExpiresMs IS NOT NULL`)
	b.must("models", s.folder)
	after := b.look(s.truth)
	c.Process.Signal(syscall.SIGCONT)
	e := b.wait(c)
	if e.code != exitFailed || !strings.Contains(e.stderr, "the job was taken over by another process") {
		t.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
	if now := b.look(s.truth); after.open != 0 || fmt.Sprint(now.models) != fmt.Sprint(after.models) {
		t.Errorf("the one that woke up has changed rows")
	}
}

// exec changes the catalogue as no program of ours does.
func (b box) exec(text string) {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+b.catalog+"?_pragma=busy_timeout(60000)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(text); err != nil {
		b.Fatal(err)
	}
}
