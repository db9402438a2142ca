package dir

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/windows"
)

// noFollow does not exist on Windows. Lstat detects links before a file is opened.
const noFollow = 0

// rename renames a file and replaces the target. Unlike os.Rename, it returns when the change is on
// the disk.
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

// long returns an absolute path in the form that may exceed 260 characters. Package os does this
// itself.
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

// isHeld reports whether another process has the file open, such as a reader or a virus scanner.
func isHeld(number syscall.Errno) bool {
	return number == windows.ERROR_SHARING_VIOLATION || number == windows.ERROR_LOCK_VIOLATION ||
		number == windows.ERROR_ACCESS_DENIED
}
