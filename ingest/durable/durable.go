// Package durable makes the names of files and folders survive a power failure. Syncing a file
// makes its bytes durable. Its name is an entry of the folder, which must be synced as well, and so
// on up to the first folder that existed before.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// system has the system calls of MkdirAll. Tests replace them.
type system struct {
	mkdir func(path string, mode fs.FileMode) error
	sync  func(folder string) error
}

// MkdirAll creates the folder at path and its missing parents, from the top. Each is durable before
// the next is created. MkdirAll also syncs the lowest existing folder, because the process that
// created it may have been killed before it did so.
func MkdirAll(path string, mode fs.FileMode) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return system{os.Mkdir, SyncFolder}.mkdirAll(path, mode)
}

func (s system) mkdirAll(path string, mode fs.FileMode) error {
	info, err := os.Stat(path) // path may be a link
	parent := filepath.Dir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && parent != path:
		if err := s.mkdirAll(parent, mode); err != nil {
			return err
		}
		if err := s.mkdir(path, mode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return s.sync(parent)
	case err != nil:
		return err
	case !info.IsDir():
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	}
	err = s.sync(parent)
	if errors.Is(err, fs.ErrPermission) {
		return nil // another user created this folder
	}
	return err
}
