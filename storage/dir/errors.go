package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// failure is a transient error, for storage.Do.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// Transient implements storage.Transient.
func (f failure) Transient() bool { return true }

// explain says what to do about an error of the system, and marks transient ones.
func explain(err error) error {
	switch {
	case isDiskFull(err):
		return fmt.Errorf("disk full: free some space, then run the same command again: %w", err)
	case errors.Is(err, syscall.EMFILE):
		return failure{fmt.Errorf("this process may not open more files: raise its limit (ulimit -n), or lower "+
			"--workers: %w", err)}
	case isTransient(err):
		return failure{err}
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not read or write the store: check its permissions, and that the disk is "+
			"not read-only: %w", err)
	default:
		return err
	}
}

// isTransient reports whether the system says that a retry may succeed (interrupted, too many open
// files), or that another process has the file open.
func isTransient(err error) bool {
	var number syscall.Errno
	return errors.As(err, &number) && (number.Temporary() || isHeld(number))
}
