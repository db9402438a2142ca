package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// SizeError says that the payload of a digest is there and has the wrong size:
// it is damaged, not missing.
type SizeError struct {
	Path      string
	Want, Got int64
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s is damaged: it holds %d bytes, and %d were stored", e.Path, e.Got, e.Want)
}

// Get reads the payload of digest; see ingest.Store. One that does not hold
// exactly address.Bytes is a *SizeError.
func (s *Store) Get(ctx context.Context, digest ingest.Digest, address ingest.Address, buffer []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	payload, err := s.read(digest, address.Bytes, buffer)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", s.payload(digest), ingest.ErrNoPayload)
	}
	if err != nil {
		return nil, fmt.Errorf("read payload %s: %w", digest.Short(), explain(err))
	}
	return payload, nil
}

func (s *Store) read(digest ingest.Digest, bytes int64, buffer []byte) ([]byte, error) {
	path := s.payload(digest)
	if err := s.realFolders(digest); err != nil {
		return nil, err
	}
	// A pipe would block when it is opened, so the name is looked at first.
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: want a file, found %s", path, describe(info.Mode()))
	}
	if info.Size() != bytes {
		return nil, &SizeError{Path: path, Want: bytes, Got: info.Size()}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readExactly(f, path, bytes, buffer)
}

// readExactly reads bytes and then the end of the file, which may have been
// replaced since it was looked at.
func readExactly(f *os.File, path string, bytes int64, buffer []byte) ([]byte, error) {
	buffer = slices.Grow(buffer[:0], int(bytes))[:bytes]
	n, err := io.ReadFull(f, buffer)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, &SizeError{Path: path, Want: bytes, Got: int64(n)}
	}
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.Size() != bytes {
		if err != nil {
			return nil, err
		}
		return nil, &SizeError{Path: path, Want: bytes, Got: info.Size()}
	}
	return buffer, nil
}

// realFolders returns an error if a link stands in for a folder on the way to the payload.
func (s *Store) realFolders(digest ingest.Digest) error {
	if err := realFolder(s.folder(payloads)); err != nil {
		return err
	}
	return realFolder(s.fanOut(digest))
}
