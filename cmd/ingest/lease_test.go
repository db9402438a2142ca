//go:build unix

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRunningJob starts commands while the job of another process is running.
func TestRunningJob(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.suspendMidFile("models", s.folder)
	if state := b.must("status").lines[0]["state"]; state != "running" {
		t.Errorf("status says %v", state)
	}
	for _, args := range [][]string{{"models", s.folder}, {"resume", "1"}, {"gc", "--yes"}} {
		e := b.run(args...)
		who := fmt.Sprintf("process %d on ", c.Process.Pid)
		if e.code != exitFailed || !strings.Contains(e.stderr, who) ||
			!strings.Contains(e.stderr, "hint: wait for the other process to end") {
			t.Errorf("%s: exit code %d, want %q\n%s", args[0], e.code, who, e.stderr)
		}
	}
	if e := b.must("resume"); len(e.objects()) != 0 {
		t.Errorf("resume ran a job that is running: %v", e.lines)
	}
	if e := b.run("models", s.path("a.gguf"), s.path("zeros.gguf")); e.code != exitSomeRefused ||
		!strings.Contains(e.stderr, "hint: wait for the other process to end") {
		t.Errorf("another job with the same files: exit code %d, refused %v\n%s", e.code, e.event("refused"), e.stderr)
	}
	c.Process.Signal(syscall.SIGCONT)
	if e := b.wait(c); e.code != exitDone {
		t.Errorf("the first process: exit code %d\n%s", e.code, e.stderr)
	}
	b.audit(s.digests)
}

// TestTakenOver: a process that has lost its lease to another changes nothing.
func TestTakenOver(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.suspendMidFile("models", s.folder, "--jobs", "1")
	b.exec(`UPDATE IngestionJobs SET LeaseExpiresMs = 1 WHERE LeaseExpiresMs IS NOT NULL`)
	b.must("models", s.folder)
	after := b.audit(s.digests)
	c.Process.Signal(syscall.SIGCONT)
	e := b.wait(c)
	if e.code != exitFailed || !strings.Contains(e.stderr, "the job was taken over by another process") {
		t.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
	if now := b.audit(s.digests); after.open != 0 || fmt.Sprint(now.models) != fmt.Sprint(after.models) {
		t.Errorf("the process without a lease has changed rows")
	}
}

// TestTakenOverByAnotherJob suspends a process until its lease expires and another job completes
// its model. After that the process changes nothing, and resume finds its job done.
func TestTakenOverByAnotherJob(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.suspendMidFile("models", s.path("a.gguf"), s.path("zeros.gguf"), "--jobs", "1")
	b.exec(`UPDATE IngestionJobs SET LeaseExpiresMs = 1 WHERE LeaseExpiresMs IS NOT NULL`)
	b.must("models", s.folder)
	after := b.audit(s.digests)
	c.Process.Signal(syscall.SIGCONT)
	e := b.wait(c)
	if e.code != exitFailed || !strings.Contains(e.stderr, "belongs to job 2") {
		t.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
	b.must("resume")
	if now := b.audit(s.digests); now.open != 0 || fmt.Sprint(now.models) != fmt.Sprint(after.models) {
		t.Errorf("the process without a lease has changed rows")
	}
}

// TestLeaseOfAnotherMachine finds a job of a process on another machine. That process may be
// running, so the run waits for the lease to expire.
func TestLeaseOfAnotherMachine(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.suspendMidFile("models", s.folder)
	c.Process.Kill()
	b.wait(c)
	before := b.audit(s.digests)
	lease := func(left time.Duration) {
		b.exec(fmt.Sprintf(`UPDATE IngestionJobs SET LeaseHolder = '{"host":"elsewhere","process":1,"started":1}',
			LeaseExpiresMs = CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER) + %d`, left.Milliseconds()))
	}
	lease(time.Hour)
	begun := time.Now()
	if state := b.must("status").lines[0]["state"]; state != "running" {
		t.Errorf("status says %v", state)
	}
	lease(1500*time.Millisecond + 4*time.Since(begun)) // slower machines read the lease later
	e := b.must("models", s.folder)
	if !strings.Contains(e.stderr, "process 1 on elsewhere") ||
		!strings.Contains(e.stderr, "waiting for the lease to expire") {
		t.Errorf("stderr says %q", e.stderr)
	}
	if read := number(e.event("summary"), "bytes_read"); read != s.bytes-before.recorded+before.reread {
		t.Errorf("%d bytes were read; %d had no rows", read, s.bytes-before.recorded)
	}
}

// TestRemoveUnfinishedInRows removes an unfinished model with payloads in rows.
func TestRemoveUnfinishedInRows(t *testing.T) {
	s := sourcesForRows(t)
	b := newBox(t, t.TempDir(), true)
	c := b.suspendMidFile("models", s.folder, "--jobs", "1")
	c.Process.Kill()
	b.wait(c)
	before := b.audit(s.digests)
	e := b.must("gc")
	if before.open != 1 || e.event("unfinished") == nil || b.audit(s.digests).open != 1 {
		t.Fatalf("%d models are open; gc says %v", before.open, e.lines)
	}
	b.must("gc", "--unfinished", "--yes")
	if after := b.audit(s.digests); after.open != 0 || len(after.models) != len(before.models)-1 {
		t.Errorf("%d of %d models are open; there were %d models", after.open, len(after.models), len(before.models))
	}
	if e := b.must("gc", "--yes"); number(e.event("summary"), "atoms") != 0 {
		t.Errorf("gc leaves rows behind: %v", e.lines)
	}
	b.must("models", s.folder)
}

// TestOtherPaths: after a kill, a run over other paths continues the file that was interrupted.
func TestOtherPaths(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.suspendMidFile("models", s.path("a.gguf"), s.path("zeros.gguf"), "--jobs", "1")
	c.Process.Kill()
	b.wait(c)
	before := b.audit(s.digests)
	summary := b.must("models", s.folder).event("summary")
	if read := number(summary, "bytes_read"); read != s.bytes-before.recorded+before.reread ||
		summary["continued"] != false {
		t.Errorf("%d bytes had no rows; %v", s.bytes-before.recorded, summary)
	}
	b.must("resume") // the first job is still open, and finds everything done
	if after := b.audit(s.digests); len(after.models) != len(s.digests) || after.open != 0 {
		t.Errorf("%d models, %d of them open", len(after.models), after.open)
	}
}

// TestOtherPipeline: resume does not continue a killed job of gc.
func TestOtherPipeline(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"a.gguf": tuned("a", 1<<20, 1, 1)})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder)
	b.must("gc", "--yes")
	b.exec(`UPDATE IngestionJobs SET Status = 'open', CompletedAt = NULL WHERE PipelineName = 'gc'`)
	if e := b.must("resume"); len(e.objects()) != 0 {
		t.Errorf("resume ran gc: %v", e.lines)
	}
	if e := b.run("resume", "2"); e.code != exitFailed || !strings.Contains(e.stderr, "job 2 is a gc job") {
		t.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
	b.must("gc", "--yes") // continues it
	if state := b.must("status").lines[1]["state"]; state != "complete" {
		t.Errorf("status says %v", state)
	}
}
