//go:build unix

package dir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// noFollow makes opening a symbolic link an error.
const noFollow = unix.O_NOFOLLOW

// rename gives the file its new name, in place of whatever has it.
func rename(from, to string) error { return os.Rename(from, to) }

// syncFolder makes the names in a folder durable. A file system that cannot do
// that for a folder says so, and then there is nothing more to ask of it.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOTTY) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

func isDiskFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// isHeld is for Windows: here a file that is open can be renamed and removed.
func isHeld(unix.Errno) bool { return false }
