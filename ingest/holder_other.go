//go:build !linux && !windows

package ingest

import "syscall"

func bootIdentity() string { return "" }

// processStarted returns 1 if the process exists and 0 if not: there is no portable way to get its
// start time. A process that reuses the ID of a dead one counts as that one, so its lease has to
// expire.
func processStarted(process int) int64 {
	if err := syscall.Kill(process, 0); err == syscall.ESRCH {
		return 0
	}
	return 1
}
