package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/rivo/uniseg"
	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal. The program gets the end theirs.
func terminal(t *testing.T, columns uint16) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("cannot open a terminal: %v", err)
	}
	t.Cleanup(func() { ours.Close() })
	fd := int(ours.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	}
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// drawnBy runs a command with stderr on a terminal, and returns what it writes there.
func drawnBy(t *testing.T, c *exec.Cmd, columns uint16) string {
	t.Helper()
	ours, theirs := terminal(t, columns)
	c.Stderr = theirs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	text, _ := io.ReadAll(ours) // fails when no process has the terminal open
	if err := c.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return string(text)
}

// screenRows returns the lines that a terminal shows after text, and every state of a line before it. It
// fails if text has a character that a terminal acts on, or moves to the next line by itself.
func screenRows(t *testing.T, text string, columns int) (lines, states []string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		row := ""
		for state := range strings.SplitSeq(line, "\r") {
			for _, r := range state {
				if !unicode.IsPrint(r) {
					t.Fatalf("the terminal gets %q: %q", r, state)
				}
			}
			if width := uniseg.StringWidth(state); width >= columns {
				t.Errorf("%d of %d columns: %q", width, columns, state)
			}
			states = append(states, strings.TrimRight(state, " "))
			if state != "" {
				row = strings.TrimRight(state, " ")
			}
		}
		if row != "" {
			lines = append(lines, row)
		}
	}
	return lines, states
}

// TestBarFits ingests three models with long names on terminals of several widths. Each time there is
// one bar on one line, with the name of the model. The models are large enough to have one drawn.
func TestBarFits(t *testing.T) {
	files := map[string]func(string) error{}
	for i, name := range []string{strings.Repeat("long ", 17), strings.Repeat("漢字", 15), "\x1b]0;owned\a" +
		strings.Repeat("e", 75)} {
		files[fmt.Sprintf("%d.gguf", i)] = zeros(fmt.Sprintf("%d %s", i, name), 400<<20)
	}
	s := newSources(t, files)
	for _, columns := range []uint16{40, 60, 80, 200} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			b := newBox(t, t.TempDir(), false)
			text := drawnBy(t, b.command("models", s.folder, "--jobs", "1"), columns)
			lines, states := screenRows(t, text, int(columns))
			if len(lines) != 1 || !strings.HasPrefix(lines[0], "100%") || !strings.Contains(lines[0], "3/3 files") {
				t.Errorf("want one line with the last bar: %q", lines)
			}
			for _, want := range []string{"0 lo", "1 漢", "2 \\x"} {
				if !slices.ContainsFunc(states, func(s string) bool { return strings.Contains(s, want) }) {
					t.Errorf("no bar has %q: %q", want, slices.Compact(states))
				}
			}
		})
	}
}

// TestExportBar: the bar of export has the name of the model.
func TestExportBar(t *testing.T) {
	s := newSources(t, map[string]func(string) error{"z.gguf": zeros("of zeros", 400<<20)})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder)
	for _, to := range [][]string{{"-o", "out.gguf"}, {"--as", "original", "-o", "."}} {
		c := b.command(append([]string{"export", "of zeros"}, to...)...)
		c.Dir = t.TempDir()
		_, states := screenRows(t, drawnBy(t, c, 80), 80)
		if !slices.ContainsFunc(states, func(s string) bool { return strings.HasSuffix(s, " of zeros") }) {
			t.Errorf("%s: no bar has the name: %q", to, slices.Compact(states))
		}
	}
}

// TestBarMakesWay: a line that is printed during a run does not stand in the bar's line.
func TestBarMakesWay(t *testing.T) {
	ours, theirs := terminal(t, 60)
	stdout, stderr, s := onScreen(theirs, theirs)
	s.draw("a long bar that is drawn first")
	fmt.Fprintln(stdout, "result")
	s.draw("bar")
	s.draw("b")
	fmt.Fprintln(stderr, "warning")
	s.draw("last")
	s.keep()
	theirs.Close()
	text, _ := io.ReadAll(ours)
	lines, _ := screenRows(t, string(text), 60)
	if want := []string{"result", "warning", "last"}; !slices.Equal(lines, want) {
		t.Errorf("%q, want %q in %q", lines, want, text)
	}
}
