//go:build unix

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// diskOf returns the disk of a folder, and how many bytes this user may still write to it.
func diskOf(folder string) (disk string, free int64, err error) {
	var info unix.Stat_t
	if err := unix.Stat(folder, &info); err != nil {
		return "", 0, err
	}
	var space unix.Statfs_t
	if err := unix.Statfs(folder, &space); err != nil {
		return "", 0, err
	}
	return fmt.Sprint(info.Dev), int64(space.Bavail) * int64(space.Bsize), nil // their types differ between systems
}
