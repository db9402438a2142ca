//go:build unix

package dir

import "syscall"

const diskFull = syscall.ENOSPC
