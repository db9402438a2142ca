//go:build !windows

package filestream

import (
	"errors"
	"runtime"
)

func find() (*Driver, error) {
	return nil, errors.New("FILESTREAM payloads are opened as files on Windows only, not on " + runtime.GOOS +
		": use --filestream tsql")
}
