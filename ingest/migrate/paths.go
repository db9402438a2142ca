package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/source"
)

// Paths finds the files that the rows of another machine name.
type Paths struct {
	// Maps replaces the beginning of a path; the longest one that fits counts.
	Maps []Mapping
	// Root is the only folder that files are read from; any if empty.
	Root string
}

// Mapping replaces the beginning of paths. Where From is a path of Windows, the case of letters does not matter, and /
// is \.
type Mapping struct{ From, To string }

// ParseMapping reads FROM=TO.
func ParseMapping(text string) (Mapping, error) {
	from, to, found := strings.Cut(text, "=")
	if !found || from == "" || to == "" {
		return Mapping{}, fmt.Errorf(`%q: want FROM=TO, such as D:\Models\=/mnt/models/`, text)
	}
	if !filepath.IsAbs(to) {
		return Mapping{}, fmt.Errorf("%q: %s is not an absolute path", text, to)
	}
	return Mapping{from, to}, nil
}

// Local returns where the file at locator is on this machine. It does not look whether it is there.
func (p Paths) Local(locator string) (string, error) {
	best, rest := Mapping{}, ""
	for _, m := range p.Maps {
		if after, fits := m.cut(locator); fits && len(m.From) > len(best.From) {
			best, rest = m, after
		}
	}
	path := locator
	if best.From != "" {
		if isWindows(best.From) {
			rest = strings.ReplaceAll(rest, `\`, "/")
		}
		if slices.Contains(strings.Split(rest, "/"), "..") {
			return "", fmt.Errorf("the path %s leads out of %s by ..", ingest.Printable(locator),
				ingest.Printable(best.From))
		}
		path = filepath.Join(best.To, filepath.FromSlash(rest))
	}
	if strings.IndexByte(path, 0) >= 0 || !filepath.IsAbs(path) {
		hint := ""
		if isWindows(path) && runtime.GOOS != "windows" {
			hint = `: --map FROM=TO says where it is here, such as --map 'D:\Models\=/mnt/models/'`
		}
		return "", fmt.Errorf("it is not an absolute path on this machine%s", hint)
	}
	return path, nil
}

// Open opens the file at locator, which must be a regular one within Root.
func (p Paths) Open(locator string) (*os.File, error) {
	path, err := p.Local(locator)
	if err != nil {
		return nil, err
	}
	root := p.Root
	if root != "" {
		root = source.Real(root)
	}
	file, err := source.Open(path, root)
	var outside *source.OutsideError
	if errors.As(err, &outside) {
		err = fmt.Errorf("it is outside of --root %s", ingest.Printable(p.Root))
	}
	var system *fs.PathError
	if errors.As(err, &system) {
		err = system.Err // the path is in the row's own message
	}
	if err != nil && path != locator {
		err = fmt.Errorf("%s: %w", ingest.Printable(path), err)
	}
	if err != nil {
		return nil, err
	}
	return file, nil
}

// cut returns what follows From in path, if path begins with it and a name ends there.
func (m Mapping) cut(path string) (rest string, fits bool) {
	folds := isWindows(m.From)
	rest = path
	for _, want := range m.From {
		got, size := utf8.DecodeRuneInString(rest)
		if size == 0 || got != want && !(folds && folded(got) == folded(want)) {
			return "", false
		}
		rest = rest[size:]
	}
	if rest == "" || isSeparator(m.From[len(m.From)-1], folds) {
		return rest, true
	}
	return rest, isSeparator(rest[0], folds)
}

func folded(r rune) rune {
	if r == '/' {
		return '\\'
	}
	return unicode.ToLower(r)
}

func isSeparator(c byte, windows bool) bool { return c == '/' || windows && c == '\\' }

// isWindows reports whether a path is one of Windows: with a drive, or a share.
func isWindows(path string) bool {
	drive := len(path) >= 2 && path[1] == ':' && unicode.IsLetter(rune(path[0]))
	return drive || strings.HasPrefix(path, `\\`)
}

// baseName is the last element of a path of any system.
func baseName(path string) string { return path[strings.LastIndexAny(path, `/\`)+1:] }
