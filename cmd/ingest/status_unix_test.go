//go:build unix

package main

import (
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// output runs a command and returns its stdout.
func output(c *exec.Cmd) ([]byte, error) {
	c.Stdout = nil
	return c.Output()
}

// shared is text that a test reads while a command writes it.
type shared struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *shared) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(text)
}

func (s *shared) count(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), text)
}

// TestStatusOfRunning: status tells how many bytes of a running job's models have rows.
func TestStatusOfRunning(t *testing.T) {
	s := slowSources(t)
	b := newBox(t, t.TempDir(), false)
	c := b.suspendMidFile("models", s.folder, "--jobs", "1")
	recorded := b.query(`SELECT RecordedBytes FROM ModelFiles WHERE RecordedBytes < ByteSize`)
	plain := b.command("status")
	plain.Args = plain.Args[:2] // without --json
	printed, err := output(plain)
	if err != nil {
		t.Fatal(err)
	}
	text := string(printed)
	if want := human(recorded) + " of "; !strings.Contains(text, want) || !strings.Contains(text, "running") {
		t.Errorf("status lacks %q:\n%s", want, text)
	}
	e := b.must("status")
	job := e.lines[0]
	if sum := e.event("summary"); number(sum, "running") != 1 || number(sum, "jobs") != 1 {
		t.Errorf("%v", sum)
	}
	models, _ := job["models"].([]any)
	if job["state"] != "running" || number(job, "bytes_recorded") != recorded || recorded >= number(job, "bytes") ||
		len(models) != 1 || number(models[0].(map[string]any), "bytes_recorded") != recorded {
		t.Errorf("%v, want %d bytes recorded", job, recorded)
	}
	c.Process.Signal(syscall.SIGCONT)
	b.wait(c)
}

// TestWatchStatus: --watch looks again until it is interrupted, and that is success.
func TestWatchStatus(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"one.gguf": tuned("one", 3<<20, 1, 1)})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder)
	var printed shared
	c := b.command("status", "--watch")
	c.Args = c.Args[:3] // without --json
	c.Stdout = &printed
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	b.waitFor("the second table", func() bool { return printed.count("JOB ") > 1 })
	c.Process.Signal(syscall.SIGINT)
	if err := c.Wait(); err != nil || printed.count("complete") < 2 {
		t.Errorf("%v: %d tables with the job", err, printed.count("complete"))
	}
}

// TestWatchStatusJSON: --watch --json ends with one summary, of the jobs that were listed last.
func TestWatchStatusJSON(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"one.gguf": tuned("one", 3<<20, 1, 1)})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder)
	b.must("verify", "--repair", s.path("one.gguf"), "1")
	var printed shared
	c := b.command("status", "--watch")
	c.Stdout = &printed
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	b.waitFor("the second look", func() bool { return printed.count(`"id":2`) > 1 })
	c.Process.Signal(syscall.SIGINT)
	err := c.Wait()
	const want = `{"event":"summary","version":1,"jobs":2,"running":0,"interrupted":0,"complete":2,"partial":0,` +
		`"failed":0}`
	if err != nil || printed.count(`"summary"`) != 1 || !strings.HasSuffix(printed.text.String(), "\n"+want+"\n") {
		t.Errorf("%v: %s", err, &printed.text)
	}
}
