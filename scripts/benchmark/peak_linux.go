package main

import (
	"os"
	"syscall"
)

// peakBytes is the most memory that the process had resident.
func peakBytes(state *os.ProcessState) int64 {
	return state.SysUsage().(*syscall.Rusage).Maxrss << 10
}
