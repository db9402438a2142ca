package main

import (
	"os"
	"syscall"
)

// peakBytes returns the peak resident memory of a process.
func peakBytes(state *os.ProcessState) int64 {
	return state.SysUsage().(*syscall.Rusage).Maxrss << 10
}
