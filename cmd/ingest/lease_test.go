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

// TestSamePath has a second process ask for the job of a first one, which is at work.
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

// TestTakenOverByAnotherJob has a process sleep until its lease lapses, and another job take up and complete the model
// that it was at. When it wakes up it changes nothing, and its job, continued, finds all done.
func TestTakenOverByAnotherJob(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.startAmid("models", s.path("a.gguf"), s.path("hollow.gguf"), "--jobs", "1")
	b.exec(`UPDATE IngestionJobs SET LeaseExpiresMs = 1 WHERE LeaseExpiresMs IS NOT NULL`)
	b.must("models", s.folder)
	after := b.look(s.truth)
	c.Process.Signal(syscall.SIGCONT)
	e := b.wait(c)
	if e.code != exitFailed || !strings.Contains(e.stderr, "went to job 2") {
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

// TestElsewhere finds a job that a process of another machine had: whether it still runs is not to be known, so
// its lease is waited for.
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
	if !strings.Contains(e.stderr, "by process 1 on elsewhere") || !strings.Contains(e.stderr, "waiting for it to end or lapse") {
		t.Errorf("stderr says %q", e.stderr)
	}
	if read := number(e.event("summary"), "bytes_read"); read != s.bytes-before.recorded+before.again {
		t.Errorf("%d bytes were read; %d had no rows", read, s.bytes-before.recorded)
	}
}

// TestGiveUpInRows gives up a model of which a killed run has left payloads in rows.
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

// TestOtherPaths asks, right after a kill, for other paths that hold the same file: it goes on at once.
func TestOtherPaths(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.startAmid("models", s.path("a.gguf"), s.path("hollow.gguf"), "--jobs", "1")
	c.Process.Kill()
	b.wait(c)
	before := b.look(s.truth)
	summary := b.must("models", s.folder).event("summary")
	if read := number(summary, "bytes_read"); read != s.bytes-before.recorded+before.again || summary["continued"] != false {
		t.Errorf("%d bytes had no rows; %v", s.bytes-before.recorded, summary)
	}
	b.must("resume") // the first job is still open, and finds all done
	if after := b.look(s.truth); len(after.models) != len(s.truth) || after.open != 0 {
		t.Errorf("%d models, %d of them open", len(after.models), after.open)
	}
}

// TestOtherPipeline has resume find a job of gc that was killed: that takes nothing in.
func TestOtherPipeline(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"a.gguf": tuned("a", 1<<20, 1, 1)})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder)
	b.must("gc", "--yes")
	b.exec(`UPDATE IngestionJobs SET Status = 'open', CompletedAt = NULL WHERE PipelineName = 'gc'`)
	if e := b.must("resume"); len(e.lines) != 0 {
		t.Errorf("resume took up gc: %v", e.lines)
	}
	if e := b.run("resume", "2"); e.code != exitFailed || !strings.Contains(e.stderr, "job 2 was a gc") {
		t.Errorf("exit code %d\n%s", e.code, e.stderr)
	}
	b.must("gc", "--yes") // goes on with it
	if state := b.must("status").lines[1]["state"]; state != "complete" {
		t.Errorf("status says %v", state)
	}
}

// TestRepairIsAJob: a gc beside a repair is refused, and so is a repair beside a gc. When it was interrupted, the next one goes on
// with its job.
func TestRepairIsAJob(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"a.gguf": noise("a", 40<<20, 1)})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder)
	repair := []string{"verify", "a", "--repair", s.path("a.gguf")}
	running := `SELECT count(*) FROM IngestionJobs WHERE LeaseExpiresMs IS NOT NULL AND PipelineName = `
	c := b.start(running+`'verify'`, repair...)
	b.stop(c)
	for _, args := range [][]string{{"gc", "--yes"}, repair} {
		if e := b.run(args...); e.code != exitFailed || !strings.Contains(e.stderr, fmt.Sprintf("is being worked on by process %d on ", c.Process.Pid)) {
			t.Errorf("%s beside a repair: exit code %d\n%s", args[0], e.code, e.stderr)
		}
	}
	b.must("models", s.folder) // may run beside it
	repairs := func() (states []any) {
		for _, job := range b.must("status").lines {
			if job["command"] == "verify" {
				states = append(states, job["state"])
			}
		}
		return states
	}
	c.Process.Signal(syscall.SIGTERM)
	c.Process.Signal(syscall.SIGCONT)
	if e := b.wait(c); e.code != exitInterrupted {
		t.Errorf("the repair: exit code %d\n%s", e.code, e.stderr)
	}
	if state := repairs(); fmt.Sprint(state) != "[interrupted]" {
		t.Errorf("status says %v", state)
	}
	b.exec(`UPDATE IngestionJobs SET Status = 'open', LeaseAlone = 1, CompletedAt = NULL, LeaseExpiresMs = CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER) + 3600000,
		LeaseHolder = '{"host":"elsewhere","process":1,"started":1}', PipelineName = 'gc' WHERE IngestionJobId = 1`)
	if e := b.run(repair...); e.code != exitFailed || !strings.Contains(e.stderr, "is being worked on by process 1 on elsewhere") {
		t.Errorf("a repair beside a gc: exit code %d\n%s", e.code, e.stderr)
	}
	b.exec(`UPDATE IngestionJobs SET LeaseExpiresMs = NULL`)
	b.must(repair...)
	if state := repairs(); fmt.Sprint(state) != "[complete]" {
		t.Errorf("status says %v", state)
	}
}
