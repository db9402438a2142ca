//go:build unix

package source

import "syscall"

const (
	noWait   = syscall.O_NONBLOCK // opening a pipe does not wait for a writer
	noFollow = syscall.O_NOFOLLOW
)
