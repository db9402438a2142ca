package filestream

import "fmt"

// Error is a Windows call that failed.
type Error struct {
	Call string // OpenSqlFilestream, ReadFile, WriteFile, FlushFileBuffers or CloseHandle
	Path string // of the payload, from the server
	Code uint32 // from GetLastError
	Err  error  // the same as an error
}

// Win32 error codes.
const (
	fileNotFound     = 2
	pathNotFound     = 3
	accessDenied     = 5
	invalidHandle    = 6
	sharingViolation = 32
	handleDiskFull   = 39
	badNetPath       = 53
	unexpectedNet    = 59
	netNameDeleted   = 64
	badNetName       = 67
	invalidParameter = 87
	timedOut         = 121
	diskFull         = 112
	connectionReset  = 1236
)

// hints say what to do. Only the sharing violation is documented for the API, so the others suggest
// what to check.
var hints = map[uint32]string{
	fileNotFound: "the payload's file is gone: has the row been deleted or changed?",
	pathNotFound: "the payload's file is gone: has the row been deleted or changed?",
	accessDenied: "only Windows logins may open the file: use Windows authentication, and set the " +
		"instance's FILESTREAM access level to 2",
	invalidHandle:    "the transaction ended while the file was open",
	sharingViolation: "the file is open elsewhere",
	handleDiskFull:   "the volume of the FILESTREAM filegroup is full: make room, then run the same command again",
	diskFull:         "the volume of the FILESTREAM filegroup is full: make room, then run the same command again",
	badNetPath: "the server cannot be reached as a file server: open ports 139 and 445, and allow remote " +
		"clients FILESTREAM access",
	badNetName: "the server has no FILESTREAM share: enable FILESTREAM for file I/O access in SQL Server " +
		"Configuration Manager",
	unexpectedNet:    "the connection to the server broke",
	netNameDeleted:   "the connection to the server broke",
	timedOut:         "the connection to the server broke",
	connectionReset:  "the connection to the server broke",
	invalidParameter: "the token may be of a transaction that has ended",
}

// Error implements error.
func (e *Error) Error() string {
	if hint := hints[e.Code]; hint != "" {
		return fmt.Sprintf("%s of %s: %s: Win32 error %d: %v", e.Call, e.Path, hint, e.Code, e.Err)
	}
	return fmt.Sprintf("%s of %s: Win32 error %d: %v", e.Call, e.Path, e.Code, e.Err)
}

// Unwrap returns a syscall.Errno on Windows.
func (e *Error) Unwrap() error { return e.Err }

// Busy reports whether the file is in use. Opening it again in the same transaction may succeed.
func (e *Error) Busy() bool { return e.Code == sharingViolation }

// Transient implements storage.Transient: the same may succeed in a new transaction.
func (e *Error) Transient() bool {
	switch e.Code {
	case sharingViolation, unexpectedNet, netNameDeleted, timedOut, connectionReset:
		return true
	}
	return false
}
