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

// bootIdentity distinguishes the boots of a machine, and the containers that share its name: a
// process ID is only unique within one of them.
func bootIdentity() string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, _ := os.Readlink("/proc/self/ns/pid")
	return fmt.Sprintf("%s%.8s %s", bootMark, boot, strings.Trim(space, "pid:[]"))
}

// processStarted returns when the process started, in clock ticks since boot; 0 if it does not
// exist or is a zombie; -1 if this cannot be found out. proc(5): field 3 is the state, field 22 the
// start time; fields are counted after the command's name, which may contain anything.
func processStarted(process int) int64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
	if err != nil {
		// /proc may hide other users' processes
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
