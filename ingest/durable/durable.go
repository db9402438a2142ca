// Package durable makes the names of files and folders outlast a power cut. Syncing a file keeps
// its bytes. Its name is an entry of the folder, which has to be synced as well, and so on up to
// the first folder that was there before.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// system is what MkdirAll asks of the system; tests watch it.
type system struct {
	mkdir func(path string, mode fs.FileMode) error
	sync  func(folder string) error
}

// MkdirAll makes the folder at path, and those above it that are missing, from the top. Each is
// durable before the next is made. The lowest one that exists is made durable too: the process that
// made it may have been killed before it did so.
func MkdirAll(path string, mode fs.FileMode) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return system{os.Mkdir, SyncFolder}.mkdirAll(path, mode)
}

func (s system) mkdirAll(path string, mode fs.FileMode) error {
	info, err := os.Stat(path) // it may be a link
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
		return nil // somebody else made this folder for us, and answers for it
	}
	return err
}
