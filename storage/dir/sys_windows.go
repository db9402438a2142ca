package dir

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/windows"
)

// noFollow has no counterpart here. Links are seen by Lstat before a file is opened.
const noFollow = 0

// rename gives the file its new name, in place of whatever has it, and returns
// when the change has been written through. os.Rename does not ask for the latter.
func rename(from, to string) error {
	source, err := windows.UTF16PtrFromString(long(from))
	if err != nil {
		return err
	}
	target, err := windows.UTF16PtrFromString(long(to))
	if err != nil {
		return err
	}
	err = windows.MoveFileEx(source, target, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// long lets an absolute path be longer than 260 characters. Functions of package
// os do so by themselves.
func long(path string) string {
	switch {
	case strings.HasPrefix(path, `\\?\`), strings.HasPrefix(path, `\\.\`):
		return path
	case strings.HasPrefix(path, `\\`):
		return `\\?\UNC\` + path[2:]
	default:
		return `\\?\` + path
	}
}

func isDiskFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// isHeld reports that another process has the file open: a reader of the payload
// that is replaced, a virus scanner.
func isHeld(number syscall.Errno) bool {
	return number == windows.ERROR_SHARING_VIOLATION || number == windows.ERROR_LOCK_VIOLATION ||
		number == windows.ERROR_ACCESS_DENIED
}
