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

// Paths finds files by paths of another machine.
type Paths struct {
	// Maps replace the beginning of a path. The longest match counts.
	Maps []Mapping
	// Root is the folder that all files must be in; empty for no restriction.
	Root string
}

// Mapping replaces the beginning of paths. If From is a Windows path, case does not matter, and /
// is the same as \.
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

// Local returns the path of a locator on this machine. The file need not exist.
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
			return "", fmt.Errorf("the path %s contains .. and may leave %s", ingest.Printable(locator),
				ingest.Printable(best.From))
		}
		path = filepath.Join(best.To, filepath.FromSlash(rest))
	}
	if strings.IndexByte(path, 0) >= 0 || !filepath.IsAbs(path) {
		err := errors.New("not an absolute path on this machine")
		if isWindows(path) && runtime.GOOS != "windows" {
			err = fmt.Errorf(`%w: map it, as in --map 'D:\Models\=/mnt/models'`, err)
		}
		return "", err
	}
	return filepath.Clean(path), nil
}

// Open opens the file of a locator, which must be a regular file within Root. It also returns the
// file's path on this machine.
func (p Paths) Open(locator string) (file *os.File, path string, err error) {
	if path, err = p.Local(locator); err != nil {
		return nil, "", err
	}
	if source.InStore(path) {
		return nil, path, fmt.Errorf("%s is a payload in a store of ingest, which gc may delete",
			ingest.Printable(path))
	}
	file, err = source.Open(path, p.root())
	var outside *source.OutsideError
	if errors.As(err, &outside) {
		err = fmt.Errorf("outside of --root %s", ingest.Printable(p.Root))
	}
	var system *fs.PathError
	if errors.As(err, &system) {
		err = system.Err // the caller names the path
	}
	if err != nil && path != locator {
		err = fmt.Errorf("%s: %w", ingest.Printable(path), err)
	}
	return file, path, err
}

// root returns the real path of Root; empty for none.
func (p Paths) root() string {
	if p.Root == "" {
		return ""
	}
	return source.Real(p.Root)
}

// cut returns what follows From in path. From must match whole path elements.
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

// isWindows reports whether a path begins like one of Windows: with a drive or a share.
func isWindows(path string) bool {
	drive := len(path) >= 2 && path[1] == ':' && unicode.IsLetter(rune(path[0]))
	return drive || strings.HasPrefix(path, `\\`)
}

// baseName returns the last element of a path of any system.
func baseName(path string) string { return path[strings.LastIndexAny(path, `/\`)+1:] }
