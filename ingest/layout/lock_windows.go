package layout

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/windows"
)

// lock waits until no other process has the lock of a folder: a file that one process at a time can
// open. The system deletes that of a process that ended.
func lock(folder string) (unlock func(), err error) {
	path := filepath.Join(folder, "ingest.lock")
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	const tries, pause = 500, 20 * time.Millisecond
	for range tries {
		var file windows.Handle
		file, err = windows.CreateFile(name, windows.GENERIC_WRITE, 0, nil, windows.OPEN_ALWAYS,
			windows.FILE_FLAG_DELETE_ON_CLOSE, 0)
		if err == nil {
			return func() { windows.CloseHandle(file) }, nil
		}
		// The second error is that of a file that is being deleted.
		if !errors.Is(err, windows.ERROR_SHARING_VIOLATION) && !errors.Is(err, windows.ERROR_ACCESS_DENIED) {
			break
		}
		time.Sleep(pause)
	}
	return nil, &os.PathError{Op: "lock", Path: path, Err: err}
}
