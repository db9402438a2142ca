package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// onTerminal runs a command with stdout on a terminal of the given width, and returns what it prints.
func onTerminal(t *testing.T, c *exec.Cmd, width int) string {
	t.Helper()
	ours, theirs := terminal(t, uint16(width))
	c.Stdout, c.Stderr = theirs, os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	text, _ := io.ReadAll(ours) // fails when no process has the terminal open
	if err := c.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// TestListFits: the table fits the terminal. Names are cut in the middle, and columns omitted.
func TestListFits(t *testing.T) {
	long := strings.Repeat("x", 4000)
	s := newSources(t, map[string]func(string) error{
		"demo-with-quite-a-long-file-name-Q8_0.gguf": zeros(long, 700<<10),
		"漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字.gguf":                  zeros("漢字", 500<<10),
		"c.gguf": zeros("\x1b[31mred\nname", 300<<10),
	})
	b := newBox(t, t.TempDir(), false)
	b.must("models", s.folder, "--jobs", "1")
	list := func(args ...string) *exec.Cmd {
		c := b.command(append([]string{"list"}, args...)...)
		c.Args = c.Args[:len(c.Args)-1] // --json
		return c
	}
	for width, heading := range map[int]string{20: "ID NAME", 40: "ID NAME QUANT SIZE",
		80: "ID NAME FILE QUANT SIZE PARAMS", 200: "ID NAME FILE QUANT SIZE PARAMS"} {
		text := onTerminal(t, list(), width)
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) != 4 || strings.Join(strings.Fields(lines[0]), " ") != heading {
			t.Errorf("%d columns: want the heading %s\n%s", width, heading, text)
		}
		for _, line := range lines {
			if textWidth(line) > width || strings.ContainsRune(line, 0x1b) {
				t.Errorf("%d columns: %q has %d", width, line, textWidth(line))
			}
		}
		if !strings.Contains(text, "xxx…xxx") || !strings.Contains(text, "漢字") {
			t.Errorf("%d columns:\n%s", width, text)
		}
		if width == 80 && !strings.Contains(text, "-Q8_0.gguf ") {
			t.Errorf("the end of a name is missing:\n%s", text)
		}
	}
	wide := onTerminal(t, list("--long"), 80)
	if !strings.Contains(wide, "SHA-256\n") || !strings.Contains(wide, "demo-wit…_0.gguf") {
		t.Errorf("--long omits columns:\n%s", wide)
	}
	if text := onTerminal(t, list("--json"), 40); !strings.Contains(text, `"name":"`+long+`"`) {
		t.Errorf("JSON is cut: %.300s", text)
	}
	var out strings.Builder
	c := list()
	c.Stdout = &out
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Contains(text, strings.Repeat("x", 201)) ||
		!strings.Contains(text, "demo-with-quite-a-long-file-name-Q8_0.gguf") {
		t.Errorf("without a terminal:\n%s", text)
	}
}
