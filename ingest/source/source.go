// Package source opens the files that models are read from.
//
// A search finds files in the given folders. They are opened later, sometimes hours later, when a
// name can mean something else. So Open only opens regular files, and none outside the given
// folder.
package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Open opens the regular file at path for reading. It never blocks on a pipe.
//
// root is the real path of the given folder. Links in path may lead anywhere in it, but not out of
// it. If root is empty, the user named path itself, which may be a link to any file.
func Open(path, root string) (*os.File, error) {
	root, name, err := resolve(path, root)
	if err != nil {
		return nil, err
	}
	return open(root, name)
}

// Stat returns the FileInfo of the regular file that Open would open.
func Stat(path, root string) (fs.FileInfo, error) {
	root, name, err := resolve(path, root)
	if err != nil {
		return nil, err
	}
	folder, err := os.OpenRoot(root)
	if isUnlisted(name, err) {
		return os.Lstat(filepath.Join(root, name))
	}
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return folder.Stat(name)
}

// resolve follows the links in path. It returns the root and the file's name in it.
func resolve(path, root string) (folder, name string, err error) {
	real := Real(path)
	info, err := os.Lstat(real) // before opening, because opening a device can have side effects
	if err != nil {
		return "", "", err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return "", "", errors.New("it is a symbolic link that cannot be followed")
	}
	if err := CheckRegular(info.Mode()); err != nil {
		return "", "", err
	}
	if root == "" {
		root = filepath.Dir(real)
	}
	name, err = filepath.Rel(root, real)
	if err != nil || !filepath.IsLocal(name) {
		return "", "", &OutsideError{Target: real}
	}
	return root, name, nil
}

// open opens name in root. It checks again that name is a regular file: it can have changed since
// resolve.
func open(root, name string) (*os.File, error) {
	file, err := openIn(root, name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		err = CheckRegular(info.Mode())
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func openIn(root, name string) (*os.File, error) {
	folder, err := os.OpenRoot(root)
	if isUnlisted(name, err) {
		return os.OpenFile(filepath.Join(root, name), os.O_RDONLY|noWait|noFollow, 0)
	}
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return folder.OpenFile(name, os.O_RDONLY|noWait, 0)
}

// isUnlisted reports whether opening the folder of name failed because the user may enter it but
// not list it. Then name can be opened without os.Root, if the system has a flag that prevents
// following links.
func isUnlisted(name string, err error) bool {
	return noFollow != 0 && errors.Is(err, fs.ErrPermission) && filepath.Base(name) == name
}

// Real returns path without links, or path itself if the system cannot resolve it (some mount
// points of Windows, a broken link).
func Real(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// InStore reports whether path leads to a payload in a folder that is a store of this program (see
// storage/dir). gc deletes such a file when no row needs its digest, even if a row has its path.
func InStore(path string) bool {
	real := Real(path)
	name, fanOut := filepath.Base(real), filepath.Dir(real)
	if len(name) != 64 || filepath.Base(fanOut) != name[:2] || filepath.Base(filepath.Dir(fanOut)) != "sha256" {
		return false
	}
	_, err := os.Lstat(filepath.Join(filepath.Dir(filepath.Dir(fanOut)), "owner"))
	return err == nil
}

// OutsideError says that a path leads out of the given folder.
type OutsideError struct {
	Target string
}

func (e *OutsideError) Error() string {
	return fmt.Sprintf("a symbolic link that leads out of the given folder, to %s: to ingest that, name it as well",
		e.Target)
}

// CheckRegular returns an error that says what the file is, unless mode is that of a regular file.
func CheckRegular(mode fs.FileMode) error {
	if mode.IsRegular() {
		return nil
	}
	what := "neither a file nor a folder"
	switch {
	case mode.IsDir():
		what = "a folder"
	case mode&fs.ModeNamedPipe != 0:
		what = "a pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	case mode&fs.ModeDevice != 0:
		what = "a device"
	}
	return fmt.Errorf("it is %s, not a regular file", what)
}
