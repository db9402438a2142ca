package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// Get reads a part of the payload of digest; see ingest.Store.
func (s *Store) Get(
	ctx context.Context,
	digest ingest.Digest,
	address ingest.Address,
	offset int64,
	into []byte,
) error {
	return s.look(ctx, digest, func() error {
		f, err := s.open(digest)
		if err != nil {
			return err
		}
		defer f.Close()
		return read(f, address.Bytes, offset, into)
	})
}

// Stat compares the size of the payload's file; see ingest.Store. It never attests the content.
func (s *Store) Stat(ctx context.Context, digest ingest.Digest, address ingest.Address) (attested bool, err error) {
	return false, s.look(ctx, digest, func() error {
		f, err := s.open(digest)
		if err != nil {
			return err
		}
		defer f.Close()
		return checkSize(f, address.Bytes)
	})
}

// Holds reports whether the payload exists under the address's URI; see ingest.Store. The URI does not
// name the folder.
func (s *Store) Holds(ctx context.Context, digest ingest.Digest, at ingest.Address) (bool, error) {
	if at.URI != address(digest, 0).URI || at.Name != "" { // gc would not find the row by another name
		return false, nil
	}
	err := s.look(ctx, digest, func() error {
		f, err := s.open(digest)
		if err != nil {
			return err
		}
		return f.Close()
	})
	if errors.Is(err, ingest.ErrNoPayload) {
		return false, nil
	}
	return err == nil, err
}

func (s *Store) look(ctx context.Context, digest ingest.Digest, op func() error) error {
	err := s.try(ctx, op)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", s.payload(digest), ingest.ErrNoPayload)
	}
	if err != nil {
		return fmt.Errorf("read payload %s: %w", digest.Short(), err)
	}
	return nil
}

// open opens the payload of digest, in place or hidden.
func (s *Store) open(digest ingest.Digest) (*os.File, error) {
	if err := s.realFolders(digest); err != nil {
		return nil, err
	}
	f, err := openFile(s.payload(digest))
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	for _, path := range s.hidden(digest) {
		if f, err := openFile(path); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return openFile(s.payload(digest)) // it may have been put back
}

func openFile(path string) (*os.File, error) {
	// Opening a pipe would block, so the file is checked first.
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: want a file, found %s", path, describe(info.Mode()))
	}
	return os.OpenFile(path, os.O_RDONLY|noFollow, 0)
}

func checkSize(f *os.File, bytes int64) error {
	info, err := f.Stat()
	if err == nil && info.Size() != bytes {
		err = &ingest.SizeError{Where: f.Name(), Want: bytes, Got: info.Size()}
	}
	return err
}

func read(f *os.File, bytes, offset int64, into []byte) error {
	if err := checkSize(f, bytes); err != nil {
		return err
	}
	if err := storage.CheckPart(offset, len(into), bytes); err != nil {
		return err
	}
	n, err := io.ReadFull(io.NewSectionReader(f, offset, int64(len(into))), into)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return &ingest.SizeError{Where: f.Name(), Want: bytes, Got: offset + int64(n)}
	}
	return err
}

// realFolders returns an error if a folder on the path to the payload is a link.
func (s *Store) realFolders(digest ingest.Digest) error {
	if err := realFolder(s.folder(payloads)); err != nil {
		return err
	}
	return realFolder(s.fanOut(digest))
}
