package main

import (
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// statusOf returns status without --json.
func (b box) statusOf(args ...string) *exec.Cmd {
	c := b.command(append([]string{"status"}, args...)...)
	c.Args = c.Args[:len(c.Args)-1]
	return c
}

// TestStatusFits: on a terminal, a problem is one line below its job, with the end of the path and the
// reason. Without one, it is whole.
func TestStatusFits(t *testing.T) {
	b := newBox(t, t.TempDir(), false)
	s := newSources(t, map[string]func(string) error{"one.gguf": tuned("one", 3<<20, 1, 1)})
	gone := filepath.Join(t.TempDir(), strings.Repeat("a-folder/", 12), "gone-Q8_0.gguf")
	if e := b.run("models", s.path("one.gguf"), gone); e.code != exitSomeRefused {
		t.Fatal(e)
	}
	problem := func(text string) string {
		t.Helper()
		var found []string
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "    ") {
				found = append(found, strings.Trim(line, " \n"))
			}
		}
		if len(found) != 1 {
			t.Fatalf("want one problem:\n%s", text)
		}
		return found[0]
	}
	ends := map[int][2]string{40: {"8_0.gguf", " folder"}, 80: {"/gone-Q8_0.gguf", "file or folder"}}
	for columns, end := range ends {
		line := problem(onTerminal(t, b.statusOf(), columns))
		path, reason, _ := strings.Cut(line, ": ")
		if textWidth(line)+4 > columns || !strings.HasSuffix(path, end[0]) || !strings.HasSuffix(reason, end[1]) {
			t.Errorf("%d columns: %q", columns, line)
		}
	}
	text, err := output(b.statusOf())
	if want := gone + ": there is no such file or folder"; err != nil || problem(string(text)) != want {
		t.Errorf("%v: want %s in\n%s", err, want, text)
	}
}

// TestWatchFits: --watch draws over the table before, and shows problems of the jobs that end later.
func TestWatchFits(t *testing.T) {
	b := newBox(t, t.TempDir(), false)
	s := newSources(t, map[string]func(string) error{"one.gguf": tuned("one", 3<<20, 1, 1)})
	folder := filepath.Join(t.TempDir(), strings.Repeat("a-folder/", 12))
	b.run("models", s.path("one.gguf"), filepath.Join(folder, "before.gguf"))
	c := b.statusOf("--watch")
	ours, theirs := terminal(t, 80)
	c.Stdout = theirs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	t.Cleanup(func() { c.Process.Kill() })
	var printed shared
	go io.Copy(&printed, ours) // fails when no process has the terminal open
	b.waitFor("the first table", func() bool { return printed.count("\x1b[J") > 0 })
	b.run("models", s.path("one.gguf"), filepath.Join(folder, "after.gguf"))
	const problem = "/after.gguf: there is no such file or folder\x1b[K"
	b.waitFor("the problem", func() bool { return printed.count(problem) > 0 })
	c.Process.Signal(syscall.SIGINT)
	err := c.Wait()
	if err != nil || printed.count("/before.gguf: ") > 0 || printed.count("\x1b[2J") > 0 {
		t.Errorf("%v: %q", err, &printed.text)
	}
}
