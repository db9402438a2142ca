package dir

import (
	"errors"
	"fmt"
	"syscall"
)

// failure adds to an error of the system what storage.Do asks.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// Transient reports that the same call may succeed if it is made again soon.
func (f failure) Transient() bool { return true }

// explain puts a full disk in words, and marks what is worth another attempt.
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

// isTransient is for what the system says of itself: interrupted, too many open
// files, try again; and for files that another process holds for a moment.
func isTransient(err error) bool {
	var number syscall.Errno
	return errors.As(err, &number) && (number.Temporary() || isHeld(number))
}
