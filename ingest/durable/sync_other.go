//go:build !windows

package durable

import (
	"errors"
	"os"
	"syscall"
)

// SyncFolder makes the names in a folder durable. It ignores the error of a file system that cannot
// sync folders.
func SyncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	err = folder.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOTTY) {
		err = nil
	}
	return errors.Join(err, folder.Close())
}
