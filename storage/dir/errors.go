package dir

import (
	"errors"
	"fmt"
	"syscall"
)

// failure is a transient error, for storage.Do.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// Transient implements storage.Transient.
func (f failure) Transient() bool { return true }

// explain names a full disk, and marks transient errors.
func explain(err error) error {
	switch {
	case isDiskFull(err):
		return fmt.Errorf("disk full: %w", err)
	case isTransient(err):
		return failure{err}
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
