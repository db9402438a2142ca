//go:build unix

package main

import (
	"database/sql"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSamePath starts a second process for the job of a running one.
func TestSamePath(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.startAmid("models", s.folder)
	if state := b.must("status").lines[0]["state"]; state != "running" {
		t.Errorf("status says %v", state)
	}
	for _, args := range [][]string{{"models", s.folder}, {"resume", "1"}, {"gc", "--yes"}} {
		e := b.run(args...)
		who := fmt.Sprintf("is being worked on by process %d on ", c.Process.Pid)
		if e.code != exitFailed || !strings.Contains(e.stderr, who) ||
			!strings.Contains(e.stderr, "hint: wait for the other process to end") {
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

// TestTakenOver stops a process until its lease expires and another takes over. When it continues, it changes nothing.
func TestTakenOver(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.startAmid("models", s.folder, "--jobs", "1")
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

// TestTakenOverByAnotherJob stops a process until its lease expires, and lets another job complete its model. When the
// process continues, it changes nothing, and its job, resumed, finds everything done.
func TestTakenOverByAnotherJob(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.startAmid("models", s.path("a.gguf"), s.path("hollow.gguf"), "--jobs", "1")
	b.exec(`UPDATE IngestionJobs SET LeaseExpiresMs = 1 WHERE LeaseExpiresMs IS NOT NULL`)
	b.must("models", s.folder)
	after := b.look(s.truth)
	c.Process.Signal(syscall.SIGCONT)
	e := b.wait(c)
	if e.code != exitFailed || !strings.Contains(e.stderr, "belongs to job 2") {
		t.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
	b.must("resume")
	if now := b.look(s.truth); now.open != 0 || fmt.Sprint(now.models) != fmt.Sprint(after.models) {
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

// TestElsewhere finds a job of a process of another machine: whether it runs cannot be known, so the run waits for its
// lease to expire.
func TestElsewhere(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.startAmid("models", s.folder)
	c.Process.Kill()
	b.wait(c)
	before := b.look(s.truth)
	lease := func(lasts time.Duration) {
		b.exec(fmt.Sprintf(`UPDATE IngestionJobs SET LeaseHolder = '{"host":"elsewhere","process":1,"started":1}',
			LeaseExpiresMs = CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER) + %d`, lasts.Milliseconds()))
	}
	lease(time.Hour)
	begun := time.Now()
	if state := b.must("status").lines[0]["state"]; state != "running" {
		t.Errorf("status says %v", state)
	}
	lease(1500*time.Millisecond + 4*time.Since(begun)) // the slower the machine, the later the lease is looked at
	e := b.must("models", s.folder)
	if !strings.Contains(e.stderr, "by process 1 on elsewhere") ||
		!strings.Contains(e.stderr, "waiting for the lease to end") {
		t.Errorf("stderr says %q", e.stderr)
	}
	if read := number(e.event("summary"), "bytes_read"); read != s.bytes-before.recorded+before.again {
		t.Errorf("%d bytes were read; %d had no rows", read, s.bytes-before.recorded)
	}
}

// TestGiveUpInRows abandons a model that a killed run left with payloads in rows.
func TestGiveUpInRows(t *testing.T) {
	s := sourcesForRows(t)
	b := newBox(t, t.TempDir(), true)
	c := b.startAmid("models", s.folder, "--jobs", "1")
	c.Process.Kill()
	b.wait(c)
	before := b.look(s.truth)
	e := b.must("gc")
	if before.open != 1 || e.event("unfinished") == nil || b.look(s.truth).open != 1 {
		t.Fatalf("%d models are open; gc says %v", before.open, e.lines)
	}
	b.must("gc", "--unfinished", "--yes")
	if after := b.look(s.truth); after.open != 0 || len(after.models) != len(before.models)-1 {
		t.Errorf("%d of %d models are open, and there were %d", after.open, len(after.models), len(before.models))
	}
	if e := b.must("gc", "--yes"); number(e.event("summary"), "atoms") != 0 {
		t.Errorf("gc leaves rows behind: %v", e.lines)
	}
	b.must("models", s.folder)
}

// TestOtherPaths names, right after a kill, other paths that hold the same file: the run continues it at once.
func TestOtherPaths(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.startAmid("models", s.path("a.gguf"), s.path("hollow.gguf"), "--jobs", "1")
	c.Process.Kill()
	b.wait(c)
	before := b.look(s.truth)
	summary := b.must("models", s.folder).event("summary")
	if read := number(summary, "bytes_read"); read != s.bytes-before.recorded+before.again ||
		summary["continued"] != false {
		t.Errorf("%d bytes had no rows; %v", s.bytes-before.recorded, summary)
	}
	b.must("resume") // the first job is still open, and finds everything done
	if after := b.look(s.truth); len(after.models) != len(s.truth) || after.open != 0 {
		t.Errorf("%d models, %d of them open", len(after.models), after.open)
	}
}

// TestOtherPipeline lets resume find a killed job of gc, which resume does not continue.
func TestOtherPipeline(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"a.gguf": tuned("a", 1<<20, 1, 1)})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder)
	b.must("gc", "--yes")
	b.exec(`UPDATE IngestionJobs SET Status = 'open', CompletedAt = NULL WHERE PipelineName = 'gc'`)
	if e := b.must("resume"); len(e.lines) != 0 {
		t.Errorf("resume took up gc: %v", e.lines)
	}
	if e := b.run("resume", "2"); e.code != exitFailed || !strings.Contains(e.stderr, "job 2 is a gc") {
		t.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
	b.must("gc", "--yes") // continues it
	if state := b.must("status").lines[1]["state"]; state != "complete" {
		t.Errorf("status says %v", state)
	}
}
