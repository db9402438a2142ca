package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// bootIdentity tells apart the restarts of a machine, and containers on it that
// share its name: a process ID means something only within one of them.
func bootIdentity() string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, _ := os.Readlink("/proc/self/ns/pid")
	return fmt.Sprintf(" boot %.8s %s", boot, strings.Trim(space, "pid:[]"))
}

// processStarted returns when the process started, in clock ticks after the boot; 0
// if there is no such process, or it has ended and was not yet reaped; -1 if it cannot be told. proc(5):
// field 3 is the state and
// field 22 the start; the fields are counted behind the command's name, which may hold anything.
func processStarted(process int) int64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
	if err != nil {
		// /proc may hide what others run
		if errors.Is(err, fs.ErrNotExist) && syscall.Kill(process, 0) == syscall.ESRCH {
			return 0
		}
		return -1
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return -1
	}
	if fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return 0
	}
	ticks, err := strconv.ParseInt(string(fields[19]), 10, 64)
	if err != nil {
		return -1
	}
	return ticks
}
