package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// answered runs a command on a terminal, answers its question, and returns the terminal's output. A
// nil answer is an interrupt.
func (b box) answered(t *testing.T, answer []byte, args ...string) (text string, code int) {
	ours, theirs := terminal(t, 80)
	c := b.command(args...)
	c.Args = c.Args[:len(c.Args)-1] // without --json
	c.Stdin, c.Stdout, c.Stderr = theirs, theirs, theirs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	var shown strings.Builder
	readUntil(ours, &shown, "[y/N] ")
	if answer == nil {
		interrupt(c)
	} else if _, err := ours.Write(answer); err != nil {
		t.Fatal(err)
	}
	readUntil(ours, &shown, "\x00")
	c.Wait() // the code says how it ended
	return shown.String(), c.ProcessState.ExitCode()
}

func interrupt(c *exec.Cmd) { c.Process.Signal(syscall.SIGINT) }

// readUntil reads until the output ends with end, or until no process has the terminal open.
func readUntil(terminal *os.File, shown *strings.Builder, end string) {
	buffer := make([]byte, 4096)
	for !strings.HasSuffix(shown.String(), end) {
		n, err := terminal.Read(buffer)
		shown.Write(buffer[:n])
		if err != nil {
			return
		}
	}
}

// TestRmAsks: on a terminal, rm asks, and removes only after a yes.
func TestRmAsks(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"a.gguf": tuned("a", 1<<20, 1, 1)})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder)
	for _, test := range []struct {
		answer string
		args   []string
		code   int
		models int
		want   string
	}{
		{"n\n", []string{"rm", "a"}, exitFailed, 1, "nothing was removed"},
		{"\n", []string{"rm", "a", "--quiet"}, exitFailed, 1, "would remove  model 1  a"},
		{"\x04", []string{"rm", "a"}, exitFailed, 1, "Remove 1 model? [y/N]"},
		{"", []string{"rm", "a"}, exitInterrupted, 1, "interrupted"},
		{"y\n", []string{"rm", "a"}, exitDone, 0, "removed  model 1  a"},
	} {
		var answer []byte
		if test.answer != "" {
			answer = []byte(test.answer)
		}
		text, code := b.answered(t, answer, test.args...)
		if code != test.code || !strings.Contains(text, test.want) || !strings.Contains(text, "Remove 1 model?") {
			t.Errorf("%q: exit code %d\n%s", test.answer, code, text)
		}
		if r := b.audit(s.digests); len(r.models) != test.models {
			t.Errorf("%q: models %v", test.answer, r.models)
		}
	}
}
