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

// Get reads a part of a payload; see ingest.Store.
func (s *Store) Get(
	ctx context.Context,
	digest ingest.Digest,
	address ingest.Address,
	offset int64,
	into []byte,
) error {
	p := storage.PayloadOf(digest, address.Encoding)
	return s.look(ctx, p, func() error {
		f, err := s.open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		return read(f, address.Bytes, offset, into)
	})
}

// Stat compares the size of the payload's file; see ingest.Store. It never attests the content.
func (s *Store) Stat(ctx context.Context, digest ingest.Digest, address ingest.Address) (attested bool, err error) {
	p := storage.PayloadOf(digest, address.Encoding)
	return false, s.look(ctx, p, func() error {
		f, err := s.open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		return checkSize(f, address.Bytes)
	})
}

// Holds reports whether the payload exists under the address's URI; see ingest.Store. The URI does not
// name the folder.
func (s *Store) Holds(ctx context.Context, digest ingest.Digest, address ingest.Address) (bool, error) {
	p := storage.PayloadOf(digest, address.Encoding)
	if !gives(p, address) {
		return false, nil
	}
	err := s.look(ctx, p, func() error {
		f, err := s.open(p)
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

// gives reports whether address is that of p in this store. With a name, gc would not find the row.
func gives(p storage.Payload, address ingest.Address) bool {
	return address.URI == uri(p) && address.Name == ""
}

func (s *Store) look(ctx context.Context, p storage.Payload, op func() error) error {
	err := s.try(ctx, op)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", s.payload(p), ingest.ErrNoPayload)
	}
	if err != nil {
		return fmt.Errorf("read payload %s: %w", p.Digest.Short(), err)
	}
	return nil
}

// open opens the payload, in place or hidden.
func (s *Store) open(p storage.Payload) (*os.File, error) {
	if err := s.realFolders(p); err != nil {
		return nil, err
	}
	f, err := openFile(s.payload(p))
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	for _, path := range s.hidden(p) {
		if f, err := openFile(path); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return openFile(s.payload(p)) // it may have been put back
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
func (s *Store) realFolders(p storage.Payload) error {
	if err := realFolder(s.folder(payloads)); err != nil {
		return err
	}
	return realFolder(s.fanOut(p))
}
