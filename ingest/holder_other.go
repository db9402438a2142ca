//go:build !linux && !windows

package ingest

import "syscall"

func bootIdentity() string { return "" }

// processStarted returns 1 for a process that is there, and 0 for one that is not: when it
// started is not to be had without more. A process that took over the ID
// of a dead one is then taken for it, and its lease waited for.
func processStarted(process int) int64 {
	if err := syscall.Kill(process, 0); err == syscall.ESRCH {
		return 0
	}
	return 1
}
