//go:build unix

package source

import "syscall"

const (
	noWait   = syscall.O_NONBLOCK // a pipe is opened at once, and refused
	noFollow = syscall.O_NOFOLLOW
)
