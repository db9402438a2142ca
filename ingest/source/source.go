// Package source opens the files that models are read from.
//
// A search finds files in the folders that a user gave; they are opened later, some of them hours later, and a name
// can have come to mean something else. Open keeps to what the user gave: it reads regular files only, and none
// outside of the given folder.
package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Open opens the regular file at path for reading. It never waits for a writer, as opening a pipe can.
//
// root is the real path of the folder that was given: links in path may lead anywhere in it, and nowhere else. If root
// is empty, the user named path itself, which may be a link to any file.
func Open(path, root string) (*os.File, error) {
	root, name, err := resolve(path, root)
	if err != nil {
		return nil, err
	}
	return open(root, name)
}

// Stat describes the regular file that Open would open.
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

// resolve follows the links of path as they are now. It returns the root and the file's name in it.
func resolve(path, root string) (folder, name string, err error) {
	real := Real(path)
	info, err := os.Lstat(real) // before it is opened: opening a device can do anything
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

// open opens name in root. What name was when it was resolved does not count: it can be another thing by now.
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

// isUnlisted reports whether opening the folder of name failed because the user may enter it and not list it. A name
// in it can then be opened without the help of os.Root, where the system can be told not to follow links.
func isUnlisted(name string, err error) bool {
	return noFollow != 0 && errors.Is(err, fs.ErrPermission) && filepath.Base(name) == name
}

// Real returns path without links. Where the system cannot resolve it (some mount points of Windows, a path that leads
// nowhere), path stands for itself.
func Real(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// OutsideError: a path leads out of the folder that was given.
type OutsideError struct {
	Target string // where it leads
}

func (e *OutsideError) Error() string {
	return fmt.Sprintf("a symbolic link that leads out of the given folder, to %s: to ingest that, name it as well",
		e.Target)
}

// CheckRegular returns an error that says what a file of this mode is, unless it is a regular one.
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
