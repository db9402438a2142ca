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

// clone is a folder in which the console examples of a page run. It has the sample models in the
// place where a clone of the repository has them, and an empty home folder.
type clone struct {
	testing.TB
	folder, home string
	wrong        []string // examples whose output differs from the page
}

// Pages show the folders of a clone under these names.
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

// volatile are the parts of an output that differ between runs. masked replaces each with its name.
var volatile = []struct {
	name    string
	pattern *regexp.Regexp
}{
	{"duration", regexp.MustCompile(`(?m)^(job \d+: .*; )[\d.hmsµ]+$`)},
	{"time", regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?`)},
	{"version", regexp.MustCompile(`(?m)^(ingest )(\(devel\)|v\d\S+)$`)},
	{"commit", regexp.MustCompile(`(?m)^(commit )\S+( \(modified\))?$`)},
	{"Go version", regexp.MustCompile(`(?m)^go\d\S+ \w+/\w+$`)},
	{"free", regexp.MustCompile(`(?m)( of disk needed, )[\d.]+ \S+ free$`)},
	{"bytes_free", regexp.MustCompile(`("bytes_free":)\d+`)},
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

// follow runs the commands of a page's console examples in order. It returns the page with their
// current outputs. An output that differs only in volatile parts stays as it is on the page.
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

// output runs a command and returns the lines that it prints, or those of the page if they agree.
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

// run runs a command in a shell and returns stdout and stderr together, as a terminal shows them.
func (c *clone) run(command string) string {
	c.Helper()
	shell := exec.Command("sh", "-c", command)
	shell.Dir = c.folder
	shell.Env = append(os.Environ(), "HOME="+c.home, "PWD="+c.folder, "GORACE=atexit_sleep_ms=0", "INGEST_STORE=",
		"INGEST_CATALOG=sqlite:"+filepath.Join(c.home, ".local", "share", "ingest", "catalog.db")) // on every system
	var both bytes.Buffer
	shell.Stdout, shell.Stderr = &both, &both
	if err := shell.Run(); err != nil {
		fmt.Fprintf(&both, "(%v: show it with `; echo \"exit code $?\"`)\n", err)
	}
	text := strings.NewReplacer(c.folder, shownFolder, c.home, shownHome).Replace(both.String())
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ") // tables pad columns; editors trim pages
	}
	return strings.Join(lines, "\n")
}
