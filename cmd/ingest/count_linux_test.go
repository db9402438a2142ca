package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// stopAndCount stops a process and returns how many bytes it has read from files since it started;
// negative if the process has ended.
func stopAndCount(process *os.Process) int64 {
	if process.Signal(syscall.SIGSTOP) != nil {
		return -1
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", process.Pid))
	if err != nil {
		return -1
	}
	var bytes int64 = -1
	for line := range strings.Lines(string(text)) {
		fmt.Sscanf(line, "rchar: %d", &bytes)
	}
	return bytes
}
