//go:build !windows

package layout

import (
	"errors"
	"os"
	"syscall"
)

// lock waits until no other process has the lock of a folder. The system releases that of a process
// that ended. On a file system without locks, it does nothing.
func lock(folder string) (unlock func(), err error) {
	file, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	for errors.Is(syscall.Flock(int(file.Fd()), syscall.LOCK_EX), syscall.EINTR) {
	}
	return func() { file.Close() }, nil
}
