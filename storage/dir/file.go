package dir

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// copyBytes is the size of the buffer for copying a file.
const copyBytes = 1 << 20

// PutFile stores the first size bytes of file under their digest; see ingest.FileStore. It ignores
// the file's name. It reads an existing payload, and replaces it if it is damaged.
func (s *Store) PutFile(ctx context.Context, _ string, digest ingest.Digest, file io.ReaderAt,
	size int64) (ingest.Address, error) {
	return s.store(ctx, digest, ingest.Encoding{}, size, func(p storage.Payload) error {
		if s.holds(p, size) || s.takeBack(p, size) {
			if right, err := s.isRight(ctx, p, size); err != nil || right {
				return errors.Join(err, s.syncFolder(s.fanOut(p)))
			}
		}
		return s.writeFile(ctx, s.payload(p), p.Content, io.NewSectionReader(file, 0, size), size)
	})
}

// isRight reads the payload and compares its SHA-256.
func (s *Store) isRight(ctx context.Context, p storage.Payload, size int64) (bool, error) {
	f, err := s.open(p)
	if err != nil {
		return false, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := copyTo(ctx, h, f)
	return n == size && ingest.Digest(h.Sum(nil)) == p.Content, err
}

// writeFile writes a file under a temporary name, checks its digest, and renames it to final.
func (s *Store) writeFile(ctx context.Context, final string, digest ingest.Digest, file io.Reader, size int64) error {
	temporary := filepath.Join(s.folder(temporaries), temporaryName())
	err := s.copyTemporary(ctx, temporary, digest, file, size)
	if err == nil {
		err = s.do("rename", final, func() error { return rename(temporary, final) })
	}
	if err != nil {
		// The file is gone if the rename succeeded nevertheless.
		_ = s.do("remove", temporary, func() error { return os.Remove(temporary) })
		return err
	}
	return s.syncFolder(filepath.Dir(final))
}

// copyTemporary copies file to a new one at path and syncs it. It returns an error if digest or
// size differ.
func (s *Store) copyTemporary(ctx context.Context, path string, digest ingest.Digest, file io.Reader,
	size int64) error {
	h := sha256.New()
	create := func() (*os.File, error) { return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) }
	return s.newFile(path, create, func(f *os.File) error {
		err := copyWhole(ctx, f, h, file, size)
		if got := ingest.Digest(h.Sum(nil)); err == nil && got != digest {
			err = &ingest.MismatchError{Want: digest, Got: got}
		}
		return err
	})
}

// copyWhole copies file to f and h. The file must have size bytes.
func copyWhole(ctx context.Context, f io.Writer, h hash.Hash, file io.Reader, size int64) error {
	n, err := copyTo(ctx, io.MultiWriter(f, h), file)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("at byte %d of %d: %w", n, size, err)
	}
	return nil
}

// copyTo copies until the end of from or of ctx.
func copyTo(ctx context.Context, to io.Writer, from io.Reader) (n int64, err error) {
	buffer := make([]byte, copyBytes)
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		read, err := io.ReadFull(from, buffer)
		if _, failed := to.Write(buffer[:read]); failed != nil {
			return n, failed
		}
		n += int64(read)
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return n, nil
		default:
			return n, err
		}
	}
}
