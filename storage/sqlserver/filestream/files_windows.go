package filestream

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// drivers are the DLLs that have OpenSqlFilestream, newest first: Microsoft OLE DB Driver 19 and 18
// for SQL Server, and SQL Server Native Client, which is no longer maintained.
var drivers = [...]string{"msoledbsql19.dll", "msoledbsql.dll", "sqlncli11.dll"}

// Options of OpenSqlFilestream.
const (
	noOptions      = 0
	sequentialScan = 8
)

func find() (*Driver, error) {
	found := []error{fmt.Errorf("no driver in the Windows system folder opens FILESTREAM payloads (%s): install "+
		"Microsoft OLE DB Driver 19 for SQL Server", strings.Join(drivers[:], ", "))}
	for _, name := range drivers {
		procedure := windows.NewLazySystemDLL(name).NewProc("OpenSqlFilestream")
		err := procedure.Find()
		if err == nil {
			return &Driver{DLL: name, open: opening(procedure)}, nil
		}
		if !errors.Is(err, windows.ERROR_MOD_NOT_FOUND) { // it exists but cannot be used
			found = append(found, fmt.Errorf("%s: %w", name, err))
		}
	}
	return nil, errors.Join(found...)
}

// opening returns a function that calls OpenSqlFilestream.
func opening(procedure *windows.LazyProc) func(string, Access, []byte) (Handle, error) {
	return func(path string, access Access, token []byte) (Handle, error) {
		name, err := windows.UTF16PtrFromString(path)
		if err != nil {
			return nil, refused("OpenSqlFilestream", path, err)
		}
		options := uintptr(noOptions)
		if access == Read {
			options = sequentialScan
		}
		const anySize = 0 // no allocation size
		opened, _, err := procedure.Call(uintptr(unsafe.Pointer(name)), uintptr(access), options,
			uintptr(unsafe.Pointer(unsafe.SliceData(token))), uintptr(len(token)), anySize)
		if windows.Handle(opened) == windows.InvalidHandle {
			return nil, refused("OpenSqlFilestream", path, err)
		}
		return &handle{path, windows.Handle(opened)}, nil
	}
}

// refused makes an Error from the error of a Windows call.
func refused(call, path string, err error) error {
	number, _ := errors.AsType[syscall.Errno](err)
	return &Error{Call: call, Path: path, Code: uint32(number), Err: err}
}

// handle is an open payload. It is not an *os.File, which makes calls that a FILESTREAM handle
// refuses.
type handle struct {
	path string
	file windows.Handle
}

// Read implements Handle.
func (h *handle) Read(buffer []byte) (int, error) {
	var n uint32
	err := windows.ReadFile(h.file, buffer, &n, nil)
	switch {
	case err == windows.ERROR_HANDLE_EOF, err == nil && n == 0 && len(buffer) > 0:
		return 0, io.EOF
	case err != nil:
		return 0, refused("ReadFile", h.path, err)
	}
	return int(n), nil
}

// Write implements Handle.
func (h *handle) Write(data []byte) (int, error) {
	var n uint32
	if err := windows.WriteFile(h.file, data, &n, nil); err != nil {
		return int(n), refused("WriteFile", h.path, err)
	}
	return int(n), nil
}

// Flush implements Handle.
func (h *handle) Flush() error {
	if err := windows.FlushFileBuffers(h.file); err != nil {
		return refused("FlushFileBuffers", h.path, err)
	}
	return nil
}

// Close implements Handle. Closing the Windows handle twice could close another file with the same
// number.
func (h *handle) Close() error {
	file := h.file
	if file == windows.InvalidHandle {
		return fmt.Errorf("CloseHandle of %s: %w", h.path, os.ErrClosed)
	}
	h.file = windows.InvalidHandle
	if err := windows.CloseHandle(file); err != nil {
		return refused("CloseHandle", h.path, err)
	}
	return nil
}
