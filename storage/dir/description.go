package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

var _ ingest.DescriptionStore = (*Store)(nil)

func (s *Store) description(d ingest.Description) string {
	return filepath.Join(s.root, filepath.FromSlash(storage.DescriptionName(d)))
}

// PutDescription writes a description as PutFile writes a payload; see ingest.DescriptionStore.
func (s *Store) PutDescription(ctx context.Context, d ingest.Description, content io.ReaderAt) error {
	err := s.try(ctx, func() error {
		if err := s.prepare(); err != nil {
			return err
		}
		return s.putDescription(ctx, d, content)
	})
	if err == nil {
		return nil
	}
	s.unprepare(err)
	return fmt.Errorf("store %s: %w", storage.DescriptionName(d), err)
}

func (s *Store) putDescription(ctx context.Context, d ingest.Description, content io.ReaderAt) error {
	final := s.description(d)
	if isFile(final, d.Bytes) {
		return s.syncFolder(filepath.Dir(final))
	}
	return s.writeFile(ctx, final, d.Content, io.NewSectionReader(content, 0, d.Bytes), d.Bytes)
}

// ReadDescription implements ingest.DescriptionStore.
func (s *Store) ReadDescription(ctx context.Context, d ingest.Description, offset int64, into []byte) error {
	err := s.try(ctx, func() error {
		f, err := openFile(s.description(d))
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.ReadAt(into, offset)
		return err
	})
	if err != nil {
		return fmt.Errorf("read %s at byte %d of %d: %w", storage.DescriptionName(d), offset, d.Bytes, err)
	}
	return nil
}

// Descriptions implements ingest.DescriptionStore.
func (s *Store) Descriptions(ctx context.Context) iter.Seq2[ingest.Description, error] {
	return func(yield func(ingest.Description, error) bool) {
		if err := realFolder(s.folder(storage.DescriptionFolder)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(ingest.Description{}, err)
			return
		}
		var d ingest.Description
		s.listFolder(ctx, s.folder(storage.DescriptionFolder), func(o ingest.Object, err error) bool {
			d.Bytes = o.Bytes
			return yield(d, err)
		}, func(name string) (o ingest.Object, ours bool) {
			d, ours = storage.ParseDescription(storage.DescriptionFolder + "/" + name)
			return o, ours
		})
	}
}

// DeleteDescription implements ingest.DescriptionStore.
func (s *Store) DeleteDescription(ctx context.Context, d ingest.Description) error {
	path := s.description(d)
	return s.try(ctx, func() error {
		err := s.do("remove", path, func() error { return os.Remove(path) })
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.syncFolder(filepath.Dir(path))
	})
}

// AddressOf implements ingest.DescriptionStore.
func (s *Store) AddressOf(digest ingest.Digest, bytes int64, encoding ingest.Encoding) ingest.Address {
	return ingest.Address{URI: uri(storage.PayloadOf(digest, encoding)), Bytes: bytes, Encoding: encoding}
}
