package filestream

import "fmt"

// Error is a call that Windows refused.
type Error struct {
	Call string // OpenSqlFilestream, ReadFile, WriteFile, FlushFileBuffers or CloseHandle
	Path string // of the payload, as the server gave it
	Code uint32 // what GetLastError said
	Err  error  // the same in words
}

// The errors that are told apart.
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

// hints say what to do. Which number the server gives for what is documented for the sharing
// violation alone, so the others are put as what to look at.
var hints = map[uint32]string{
	fileNotFound: "the payload's file is gone: was the row removed or changed meanwhile?",
	pathNotFound: "the payload's file is gone: was the row removed or changed meanwhile?",
	accessDenied: "the file is for Windows logins only: connect with integrated authentication, and let the " +
		"instance's FILESTREAM access level be 2",
	invalidHandle:    "the transaction ended while the file was open",
	sharingViolation: "the file is open elsewhere",
	handleDiskFull: "the volume of the FILESTREAM filegroup is full: make room, then run the same command again to " +
		"go on",
	diskFull: "the volume of the FILESTREAM filegroup is full: make room, then run the same command again to " +
		"go on",
	badNetPath: "the server cannot be reached as a file server: open ports 139 and 445, and allow remote " +
		"clients FILESTREAM access",
	badNetName: "the server has no FILESTREAM share: switch FILESTREAM on for file I/O access in SQL Server " +
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

// Unwrap returns the error in words, on Windows a syscall.Errno.
func (e *Error) Unwrap() error { return e.Err }

// Busy reports whether the file is open elsewhere, which passes within the transaction.
func (e *Error) Busy() bool { return e.Code == sharingViolation }

// Transient implements storage.Transient: in a new transaction, the same may succeed.
func (e *Error) Transient() bool {
	switch e.Code {
	case sharingViolation, unexpectedNet, netNameDeleted, timedOut, connectionReset:
		return true
	}
	return false
}
