package ingest

import "golang.org/x/sys/windows"

// bootIdentity is empty: on Windows, the start time of a process is absolute.
func bootIdentity() string { return "" }

// stillActive is the exit code of a running process (STILL_ACTIVE).
const stillActive = 259

// processStarted returns when the process started, in nanoseconds since 1970; 0 if it does not
// exist; -1 if access to it is denied.
func processStarted(process int) int64 {
	handle, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(process))
	if err == windows.ERROR_ACCESS_DENIED {
		return -1
	}
	if err != nil {
		return 0
	}
	defer windows.CloseHandle(handle)
	var code uint32
	if err := windows.GetExitCodeProcess(handle, &code); err != nil || code != stillActive {
		return 0
	}
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(handle, &created, &exited, &kernel, &user); err != nil {
		return 0
	}
	return created.Nanoseconds()
}
