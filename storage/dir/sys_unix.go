//go:build unix

package dir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// noFollow makes opening a symbolic link an error.
const noFollow = unix.O_NOFOLLOW

// rename renames a file and replaces the target.
func rename(from, to string) error { return os.Rename(from, to) }

func isDiskFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// isHeld is for Windows: on other systems, open files can be renamed and deleted.
func isHeld(unix.Errno) bool { return false }
