package storage

import "fmt"

// CheckPart refuses to read n bytes from offset of a payload that does not have them by its
// address.
func CheckPart(offset int64, n int, bytes int64) error {
	if offset < 0 || bytes < 0 || int64(n) > bytes-offset {
		return fmt.Errorf("bytes %d to %d of a payload of %d", offset, offset+int64(n), bytes)
	}
	return nil
}
