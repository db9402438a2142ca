package format

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/hartonomous/ingest/ingest"
)

// Selection selects files in given folders by patterns like those of rclone. The zero Selection selects
// all. A pattern matches the path relative to the given folder, with slashes: from its start if the
// pattern begins with a slash, otherwise from any folder on. * and ? match within a name, ** any
// folders, [a-z] a character, {a,b} alternatives, and a backslash makes the next character an ordinary
// one. A pattern that ends with a slash matches everything below a folder.
type Selection struct {
	// Include selects models whose weights, or other files to ingest, match one of these, if there are
	// any. The files that belong to a model come with it.
	Include []string
	// Exclude leaves out files that match one of these, as if they were not there.
	Exclude []string
}

// Check returns an error for a pattern that matches nothing, or that another program would read in
// another way.
func (s Selection) Check() error {
	for _, pattern := range slices.Concat(s.Include, s.Exclude) {
		switch {
		case strings.Trim(pattern, "/") == "":
			return fmt.Errorf("pattern %q is empty: use ** for everything", pattern)
		case strings.Contains(pattern, "{{"):
			return fmt.Errorf("pattern %s: regular expressions are not supported", ingest.Printable(pattern))
		case !doublestar.ValidatePattern(full(pattern)):
			return fmt.Errorf("pattern %s: a bracket, a brace or a backslash has no partner", ingest.Printable(pattern))
		}
		for name := range strings.SplitSeq(pattern, "/") {
			if strings.Contains(name, "**") && name != "**" {
				return fmt.Errorf("pattern %s: ** stands for whole folders: write a slash before and after it",
					ingest.Printable(pattern))
			}
		}
	}
	return nil
}

// full returns a pattern that matches from the start of a path. For the library, x/** also matches x.
func full(pattern string) string {
	if strings.HasSuffix(pattern, "/") {
		pattern += "**"
	}
	pattern, anchored := strings.CutPrefix(pattern, "/")
	if !anchored {
		pattern = "**/" + pattern
	}
	if pattern == "**" || strings.HasSuffix(pattern, "/**") {
		pattern += "/*"
	}
	return pattern
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		return doublestar.MatchUnvalidated(full(pattern), path)
	})
}

// leavesOut reports whether a file at a relative path is not selected. Only Exclude counts for a file
// that belongs to a model.
func (s Selection) leavesOut(path string, belongs bool) bool {
	return matchesAny(s.Exclude, path) || !belongs && len(s.Include) > 0 && !matchesAny(s.Include, path)
}

// leavesOutFolder reports whether everything below a folder is left out.
func (s Selection) leavesOutFolder(path string) bool {
	return slices.ContainsFunc(s.Exclude, func(pattern string) bool {
		below, ok := strings.CutSuffix(full(pattern), "**/*")
		return ok && doublestar.MatchUnvalidated(below+"**", path)
	})
}

// kind is what a selection is asked about.
type kind int

const (
	aModel  kind = iota // weights, a manifest, or another file that becomes a model
	aMember             // a file that belongs to a model
	aFolder
)

// isLeftOut reports whether the selection leaves a file or folder below a given folder out, and counts
// the files. A path that is not below it is selected: a file has been named, or a layout leads there.
func (w *walk) isLeftOut(path string, k kind) bool {
	if w.folderGiven == "" || len(w.selection.Include)+len(w.selection.Exclude) == 0 {
		return false
	}
	rel, err := filepath.Rel(w.folderGiven, path)
	if err != nil || !filepath.IsLocal(rel) || rel == "." {
		return false
	}
	rel = filepath.ToSlash(rel)
	if k == aFolder {
		return w.selection.leavesOutFolder(rel)
	}
	out := w.selection.leavesOut(rel, k == aMember)
	if out {
		w.left[w.folderGiven]++
	}
	return out
}
