package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// clone is a scratch folder in which the console examples of a page run. It has the sample models where a clone of the
// repository has them, and an empty home folder.
type clone struct {
	testing.TB
	folder, home string
	wrong        []string // examples that print something else than the page shows
}

// The pages show the two folders of a clone under these names.
const (
	shownFolder = "/srv/ingest"
	shownHome   = "/home/user"
)

func newClone(t testing.TB) *clone {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &clone{TB: t, folder: filepath.Join(root, "ingest"), home: filepath.Join(root, "home")}
	models := filepath.Join("scripts", "sample", "models")
	if err := os.CopyFS(filepath.Join(c.folder, models), os.DirFS(filepath.Join(top, models))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.home, 0o700); err != nil {
		t.Fatal(err)
	}
	return c
}

// volatile are the parts of an output that differ from run to run, by name. The name takes their place.
var volatile = []struct {
	name    string
	pattern *regexp.Regexp
}{
	{"duration", regexp.MustCompile(`(?m)^(job \d+: .*; )[\d.hmsµ]+$`)},
	{"time", regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`)},
	{"version", regexp.MustCompile(`(?m)^(ingest )(\(devel\)|v\d\S+)$`)},
	{"commit", regexp.MustCompile(`(?m)^(commit )\S+( \(modified\))?$`)},
	{"Go version", regexp.MustCompile(`(?m)^go\d\S+ \w+/\w+$`)},
	{"seconds", regexp.MustCompile(`("seconds":)[\d.e-]+`)},
}

// masked returns output without its volatile parts.
func masked(output string) string {
	for _, v := range volatile {
		output = v.pattern.ReplaceAllString(output, "${1}<"+v.name+">")
	}
	return output
}

// The fences of an example, and what starts a command in it.
const (
	consoleFence = "```console"
	closingFence = "```"
	prompt       = "$ "
)

// follow runs the commands of a page's console examples, in order. It returns the page with the outputs that the
// commands have now. Outputs that differ in volatile parts only stay as they are on the page.
func (c *clone) follow(page string) string {
	c.Helper()
	var out []string
	command, shown, inside := "", []string{}, false
	end := func() {
		if command != "" {
			out = append(out, c.output(command, shown)...)
		}
		command, shown = "", nil
	}
	for _, line := range strings.Split(page, "\n") {
		next, isCommand := strings.CutPrefix(line, prompt)
		switch {
		case !inside:
			inside = line == consoleFence
		case line == closingFence:
			end()
			inside = false
		case isCommand:
			end()
			command = next
		case command == "":
			c.Errorf("a console example starts with %q, want a command", line)
		default:
			shown = append(shown, line)
			continue
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// output runs a command and returns the lines that it prints. It returns those that the page shows if they agree.
func (c *clone) output(command string, shown []string) []string {
	c.Helper()
	got := c.run(command)
	if masked(got) == masked(strings.Join(shown, "\n")) {
		return shown
	}
	c.wrong = append(c.wrong, fmt.Sprintf("$ %s\nprints\n%s\nand the page shows\n%s",
		command, got, strings.Join(shown, "\n")))
	if got == "" {
		return nil
	}
	return strings.Split(got, "\n")
}

// run runs a command in a shell. The output is that of stdout and stderr, as on a terminal. `go run ./cmd/ingest` is
// the program of this test.
func (c *clone) run(command string) string {
	c.Helper()
	shell := exec.Command("sh", "-c", strings.ReplaceAll(command, "go run ./cmd/ingest", "ingest"))
	shell.Dir = c.folder
	shell.Env = append(os.Environ(), "HOME="+c.home, "PWD="+c.folder, "GORACE=atexit_sleep_ms=0", "INGEST_STORE=",
		"INGEST_CATALOG=sqlite:"+filepath.Join(c.home, ".local", "share", "ingest", "catalog.db")) // on each system
	var both bytes.Buffer
	shell.Stdout, shell.Stderr = &both, &both
	if err := shell.Run(); err != nil {
		fmt.Fprintf(&both, "(%v: a page shows it with `; echo \"exit code $?\"`)\n", err)
	}
	text := strings.NewReplacer(c.folder, shownFolder, c.home, shownHome).Replace(both.String())
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ") // of columns; editors remove them from pages
	}
	return strings.Join(lines, "\n")
}
