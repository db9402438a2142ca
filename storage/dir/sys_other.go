//go:build !linux

package dir

import "os"

// create creates the file. Only Linux has direct writes.
func create(path string, _ []byte) (f *os.File, direct bool, err error) {
	f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	return f, false, err
}

func writeAll(f *os.File, payload []byte, _ bool) error {
	_, err := f.Write(payload)
	return err
}
