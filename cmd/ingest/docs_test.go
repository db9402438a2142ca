package main

import (
	"flag"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// top is the top folder of the repository.
var top = filepath.Join("..", "..")

var update = flag.Bool("update", false, "write the outputs of the console examples and the JSON objects into the pages")

// TestPages runs the console examples of the pages in a shell, and compares their outputs. It compares the lists
// of JSON objects, too.
func TestPages(t *testing.T) {
	needsShell(t)
	for _, name := range []string{filepath.Join(top, "README.md"), "README.md"} {
		t.Run(filepath.ToSlash(name), func(t *testing.T) {
			t.Parallel()
			text := readPage(t, name)
			if !strings.Contains(text, consoleFence) {
				t.Fatal("the page has no console example")
			}
			c := newClone(t)
			got, wrong := documented(t, c.follow(text))
			c.wrong = append(c.wrong, wrong...)
			if *update && got != text {
				if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, wrong := range c.wrong {
				t.Errorf("go test ./cmd/ingest -run TestPages -update corrects the page:\n%s", wrong)
			}
		})
	}
}

func needsShell(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the console examples are for a Unix shell")
	}
}

// TestPagesFindsWrongExamples: a wrong, missing or too long output is replaced.
func TestPagesFindsWrongExamples(t *testing.T) {
	needsShell(t)
	const right = "text\n```console\n$ echo one; echo two\none\ntwo\n$ true\n```\n$ not run\n"
	for name, page := range map[string]string{
		"right":    right,
		"wrong":    strings.Replace(right, "two\n$", "three\n$", 1),
		"missing":  strings.Replace(right, "two\n$", "$", 1),
		"too long": strings.Replace(right, "$ true\n", "$ true\nmore\n", 1),
	} {
		c := newClone(t)
		if got := c.follow(page); got != right || len(c.wrong) > 0 != (name != "right") {
			t.Errorf("%s: %q, want %q; %q", name, got, right, c.wrong)
		}
	}
	if got := newClone(t).run("ingest lst; echo \"exit code $?\""); !strings.HasSuffix(got, "\nexit code 2") {
		t.Errorf("a command that fails: %q", got)
	}
	if got := newClone(t).run("exit 3"); !strings.Contains(got, "exit status 3") {
		t.Errorf("a code that the page does not show: %q", got)
	}
}

func readPage(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// TestReadmeIsShort limits the length of the first page.
func TestReadmeIsShort(t *testing.T) {
	const most = 150
	if n := strings.Count(readPage(t, filepath.Join(top, "README.md")), "\n"); n > most {
		t.Errorf("README.md has %d lines, at most %d are allowed: move details to the README.md of a folder", n, most)
	}
}

// TestPagesNameEverything: README.md has all commands, and this folder's all flags.
func TestPagesNameEverything(t *testing.T) {
	first, commands := readPage(t, filepath.Join(top, "README.md")), readPage(t, "README.md")
	root := newRoot(io.Discard, io.Discard)
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" || c.IsAdditionalHelpTopicCommand() {
			continue
		}
		if !strings.Contains(first, "\n| `"+c.Name()) {
			t.Errorf("README.md has no row for the command %s", c.Name())
		}
		if !strings.Contains(commands, "\n## ingest "+c.Name()) {
			t.Errorf("cmd/ingest/README.md has no section for the command %s", c.Name())
		}
	}
	for _, name := range flagNames(root) {
		if !strings.Contains(commands, "`--"+name) {
			t.Errorf("cmd/ingest/README.md does not name the flag --%s", name)
		}
	}
}

// TestHelpHasNoCode: no help has an indented line, as code pasted into it would have.
func TestHelpHasNoCode(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Name() == "completion" { // cobra's, with commands for a shell
			return
		}
		if strings.Contains(c.Long, "\n\t") {
			t.Errorf("the help of %s has an indented line:\n%s", c.CommandPath(), c.Long)
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(newRoot(io.Discard, io.Discard))
}

// flagNames returns the flags of a command and its subcommands, except those of completion scripts.
func flagNames(c *cobra.Command) []string {
	all := map[string]bool{}
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Name() == "completion" {
			return
		}
		for _, set := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) { all[f.Name] = f.Name != "help" })
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(c)
	maps.DeleteFunc(all, func(_ string, wanted bool) bool { return !wanted })
	return slices.Sorted(maps.Keys(all))
}

// pageLink matches a link that is not a URL.
var pageLink = regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)

// TestLinks: links lead to existing files and headings.
func TestLinks(t *testing.T) {
	for _, name := range repositoryFiles(t) {
		if filepath.Base(name) != "README.md" {
			continue
		}
		for _, link := range pageLink.FindAllStringSubmatch(readPage(t, name), -1) {
			checkLink(t, name, link[1], link[2])
		}
	}
}

// TestLineLength: lines have at most 120 columns (a tab has four), except tables and fenced blocks in Markdown.
func TestLineLength(t *testing.T) {
	const most = 120
	for _, name := range repositoryFiles(t) {
		extension := filepath.Ext(name)
		if !slices.Contains([]string{".go", ".md", ".sql", ".sh", ".ps1"}, extension) &&
			filepath.Dir(name) != filepath.Join(top, "scripts") {
			continue
		}
		number, fenced := 0, false
		for line := range strings.Lines(readPage(t, name)) {
			number++
			if extension == ".md" && strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
			}
			columns := utf8.RuneCountInString(strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", "    "))
			if columns > most && !fenced && (extension != ".md" || !strings.HasPrefix(line, "|")) {
				t.Errorf("%s:%d has %d columns, at most %d are allowed", name, number, columns, most)
			}
		}
	}
}

// repositoryFiles returns the paths of all files outside hidden folders.
func repositoryFiles(t *testing.T) (names []string) {
	t.Helper()
	err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && name != top {
			return filepath.SkipDir
		}
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func checkLink(t *testing.T, page, target, heading string) {
	t.Helper()
	linked := page
	if target != "" {
		linked = filepath.Join(filepath.Dir(page), filepath.FromSlash(target))
	}
	info, err := os.Stat(linked)
	if err != nil {
		t.Errorf("%s: the link to %s leads nowhere: %v", page, target, err)
		return
	}
	if heading == "" || info.IsDir() || path.Ext(target) != ".md" && target != "" {
		return
	}
	if !slices.Contains(headings(readPage(t, linked)), heading) {
		t.Errorf("%s: %s has no heading %s", page, linked, heading)
	}
}

// headings returns the anchors of a page's headings.
func headings(page string) []string {
	var anchors []string
	for line := range strings.Lines(page) {
		marks, title, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || marks == "" || strings.Trim(marks, "#") != "" {
			continue
		}
		anchors = append(anchors, "#"+strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, title))
	}
	return anchors
}
