package format

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// linkText matches the content of a file that was a symbolic link: the cases were stored without
// links.
var linkText = regexp.MustCompile(`^(\.\./|/Volumes/|parts/)[^\n{}"]+$`)

// sourceCase returns a folder with a case of shared/cases/sources, with its links.
func sourceCase(t *testing.T, name string) string {
	t.Helper()
	from := filepath.Join(testdata(t, ""), "..", "cases", "sources", name)
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		to := filepath.Join(root, rel)
		if entry.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		target, err := os.Readlink(path)
		if err == nil {
			return os.Symlink(target, to)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if linkText.Match(content) {
			if err := os.Symlink(string(content), to); err != nil {
				t.Skip("no symbolic links here:", err)
			}
			return nil
		}
		return os.WriteFile(to, content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// short returns a line with long digests shortened.
func short(line string) string {
	return longHex.ReplaceAllStringFunc(line, func(text string) string { return text[:4] + "~" })
}

var longHex = regexp.MustCompile(`[0-9a-f]{40,64}`)

// parsed returns what Parser says of each source: its name, URI and type, the files that have tensors,
// and warnings, or the error.
func parsed(t *testing.T, root string, paths []string) (lines []string) {
	t.Helper()
	for i := range paths {
		paths[i] = filepath.Join(root, paths[i])
	}
	found, err := Find(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range found.Sources {
		m, err := Parser{}.Parse(t.Context(), s)
		if err != nil {
			lines = append(lines, short(strings.ReplaceAll(err.Error(), root+"/", "")))
			continue
		}
		var tensors []string
		claims := 0
		for i := range m.Files {
			f := &m.Files[i]
			if len(f.Tensors) > 0 {
				tensors = append(tensors, fmt.Sprintf("%s %d", f.Format, len(f.Tensors)))
			}
			if !f.Expected.IsZero() {
				claims++
			}
			checkCovered(t, f)
		}
		uri, _ := strings.CutPrefix(m.URI, "file://"+root+"/")
		line := fmt.Sprintf("%s, %s, %s: %s, %d claims", m.Name, uri, m.Type, strings.Join(tensors, " + "), claims)
		for _, note := range m.Warnings() {
			line += ", " + note.Reason.Error()
		}
		lines = append(lines, short(line))
	}
	return lines
}

// outcome returns what Find and Parser say of the given paths of a case, with digests shortened.
func outcome(t *testing.T, name string, given []string) string {
	root := sourceCase(t, name)
	paths := given
	if paths == nil {
		paths = []string{"."}
	}
	sources, skipped, refused := find(t, root, slices.Clone(paths)...)
	text := ""
	for _, part := range []struct {
		what  string
		lines []string
	}{{"given", given}, {"model", sources}, {"skipped", skipped}, {"refused", refused},
		{"parsed", parsed(t, root, slices.Clone(paths))}} {
		for _, line := range part.lines {
			if part.what != "given" {
				line = short(line)
			}
			text += part.what + " " + line + "\n"
		}
	}
	return text
}

// TestCases finds and parses the cases after public reports. CASES.md there says what each shows and
// what is right; testdata/cases.txt has it in the words of this program. Of a case without parsed
// models there, only the search is compared: its headers are a matter of package gguf.
func TestCases(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "cases.txt"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, block := range strings.Split(strings.TrimPrefix(string(text), "== "), "\n== ") {
		title, want, _ := strings.Cut(block, "\n")
		name, _, _ := strings.Cut(title, " ")
		seen[name] = true
		t.Run(title, func(t *testing.T) {
			var given []string
			for line := range strings.Lines(want) {
				if path, ok := strings.CutPrefix(strings.TrimSpace(line), "given "); ok {
					given = append(given, path)
				}
			}
			got := outcome(t, name, given)
			if strings.Contains(want, "model ") && !strings.Contains(want, "parsed ") {
				got, _, _ = strings.Cut(got, "parsed ")
			}
			if strings.TrimSpace(got) != strings.TrimSpace(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	all, err := os.ReadDir(filepath.Join(testdata(t, ""), "..", "cases", "sources"))
	for _, entry := range all {
		if entry.IsDir() && !seen[entry.Name()] {
			t.Errorf("%s is not compared", entry.Name())
		}
	}
	if err != nil {
		t.Error(err)
	}
}
