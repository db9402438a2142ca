package storage

import "fmt"

// CheckPart returns an error unless a payload of bytes bytes has n bytes at offset.
func CheckPart(offset int64, n int, bytes int64) error {
	if offset < 0 || bytes < 0 || int64(n) > bytes-offset {
		return fmt.Errorf("bytes %d to %d of a payload of %d", offset, offset+int64(n), bytes)
	}
	return nil
}
