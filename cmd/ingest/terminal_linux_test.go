package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal of 80 columns. The program gets the end theirs.
func terminal(t *testing.T) (ours, theirs *os.File) {
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
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// TestBar: on a terminal, the bar shows bytes, rate, the current file, and files done. It cuts
// names between characters, and escapes control characters in them.
func TestBar(t *testing.T) {
	s := newSources(t, map[string]func(string) error{
		"ä" + strings.Repeat("漢字", 10) + ".gguf": zeros("zeros", 700<<20),
		"\x1b]0;owned\a" + ".gguf":               zeros("other", 500<<20),
	})
	b := newBox(t, t.TempDir(), false)
	ours, theirs := terminal(t)
	c := b.command("models", s.folder, "--jobs", "1")
	c.Stderr = theirs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	var drawn strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := ours.Read(buffer) // fails when no process has the terminal open
		drawn.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	if err := c.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, drawn.String())
	}
	text := drawn.String()
	for _, want := range []string{"0/2 files", "2/2 files", "漢字", "/s", "MiB"} {
		if !strings.Contains(text, want) {
			t.Errorf("the bar lacks %q:\n%q", want, text)
		}
	}
	if strings.Contains(text, "\x1b]") || !utf8.ValidString(text) {
		t.Errorf("the bar writes control characters of a name: %q", text)
	}
}
