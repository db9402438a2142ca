package format

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/source"
)

// place is a file or folder that a search found.
type place struct {
	path string      // below the given path; may contain links
	real string      // without links
	root string      // a folder without links that contains real; see ingest.SourceFile
	info fs.FileInfo // of the target if path is a link; nil for some folders

	claim ingest.Digest // the digest that real's name has according to its layout; zero if none
}

// folderAt returns a folder that contains a given path.
func folderAt(path string) place {
	real := source.Real(path)
	return place{path: path, real: real, root: real}
}

// key is equal for all paths to one file.
func (p place) key() string {
	if runtime.GOOS == "windows" {
		return strings.ToLower(p.real)
	}
	return p.real
}

// better reports whether p is the better of two paths to one file. Some caches name files after
// their digests, and links after the models.
func (p place) better(than place) bool {
	rank := func(p place) int {
		n := 0
		if !IsWeights(filepath.Base(p.path)) {
			n += 2
		}
		if filepath.Base(p.path) != filepath.Base(p.real) {
			n++
		}
		return n
	}
	if a, b := rank(p), rank(than); a != b {
		return a < b
	}
	if a, b := p.path == p.real, than.path == than.real; a != b {
		return a
	}
	return p.path < than.path
}

// tree is the set of real files and folders that a search does not leave.
type tree []string

// treeOf returns the tree of the given paths. A link in one of them may lead into another.
func treeOf(paths []string) (t tree) {
	for _, path := range paths {
		if path, err := filepath.Abs(path); err == nil {
			t = append(t, source.Real(path))
		}
	}
	return t
}

// root returns the folder of the tree that contains the real path of a file.
func (t tree) root(real string) (root string, ok bool) {
	for _, root := range t {
		rel, err := filepath.Rel(root, real)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		if rel == "." {
			root = filepath.Dir(real)
		}
		return root, true
	}
	return "", false
}

// brokenLinkError says that a link leads nowhere, such as to a drive that is not connected, or to
// itself.
type brokenLinkError struct{ reason string }

func (e *brokenLinkError) Error() string { return e.reason }

func brokenLink(path string, err error) error {
	target, readErr := os.Readlink(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && readErr == nil:
		return &brokenLinkError{"a broken symbolic link to " + ingest.Printable(target)}
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("a symbolic link that cannot be followed: %w", withoutPath(err))
	}
	return &brokenLinkError{fmt.Sprintf("a symbolic link that cannot be followed: %v", withoutPath(err))}
}

// excludedError says that a link leads to a file or folder that a search skips, such as a key.
type excludedError struct {
	target string
	reason error
}

func (e *excludedError) Error() string {
	return fmt.Sprintf("a symbolic link to %s: %v", ingest.Printable(e.target), e.reason)
}

// lookup returns the entry name of folder. It follows a link within the tree, but not to what a search
// skips: the error is then an excludedError. With an OutsideError, info is that of the target.
func (t tree) lookup(folder place, name string) (place, error) {
	at := place{path: filepath.Join(folder.path, name), real: filepath.Join(folder.real, name), root: folder.root}
	info, err := os.Lstat(at.path)
	if err != nil {
		return at, err
	}
	at.info = info
	if info.Mode()&fs.ModeSymlink == 0 {
		return at, nil
	}
	real, err := filepath.EvalSymlinks(at.path)
	if err != nil {
		return at, brokenLink(at.path, err)
	}
	if at.info, err = os.Lstat(real); err != nil {
		return at, err
	}
	root, ok := t.root(real)
	if !ok {
		return at, &source.OutsideError{Target: real}
	}
	at.real, at.root = real, root
	if reason := at.excluded(); reason != nil && !slices.Contains(t, real) {
		return at, &excludedError{real, reason}
	}
	return at, nil
}

// excluded returns why a search skips the target of a link: by its name, or by that of a folder
// on the way to it from the given one.
func (p place) excluded() error {
	rest, err := filepath.Rel(p.root, p.real)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(rest, string(filepath.Separator)) {
		if reason := excluded(name); reason != nil && name != "." {
			return reason
		}
	}
	return nil
}
