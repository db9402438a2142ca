//go:build !linux

package main

import "os"

// peakBytes returns 0: only the Linux version reads it.
func peakBytes(*os.ProcessState) int64 { return 0 }

// writes returns 0: only the Linux version counts them.
func writes() int64 { return 0 }
