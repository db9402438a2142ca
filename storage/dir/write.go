package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest/durable"
	"github.com/hartonomous/ingest/storage"
)

// do makes one change of the folder, and calls the hook before and after.
func (s *Store) do(step, path string, act func() error) error {
	if s.hook == nil {
		return act()
	}
	if err := s.hook(step, path, false); err != nil {
		return err
	}
	if err := act(); err != nil {
		return err
	}
	return s.hook(step, path, true)
}

// write stores payload under the name of p. The bytes are durable before they have the name, and
// the name is durable before write returns. A power failure after the rename may restore the
// temporary name beside the new one; gc deletes it. Without replace, a payload that another writer
// has stored is enough: Windows does not rename over a file that a reader has open.
func (s *Store) write(p storage.Payload, payload []byte, replace bool) error {
	temporary := filepath.Join(s.folder(temporaries), temporaryName())
	final := s.payload(p)
	err := s.writeTemporary(temporary, payload)
	if err == nil {
		err = s.do("rename", final, func() error { return rename(temporary, final) })
	}
	if err != nil {
		// This fails if the rename did take effect; then there is nothing to remove.
		_ = s.do("remove", temporary, func() error { return os.Remove(temporary) })
		if replace || !s.holds(p, int64(len(payload))) {
			return err
		}
	}
	return s.syncFolder(filepath.Dir(final))
}

// writeTemporary writes and syncs the file at path, which must not exist.
func (s *Store) writeTemporary(path string, payload []byte) error {
	var direct bool
	return s.newFile(path, func() (f *os.File, err error) {
		f, direct, err = create(path, payload)
		return f, err
	}, func(f *os.File) error { return writeAll(f, payload, direct) })
}

// newFile creates the file at path, writes it with write, and syncs it.
func (s *Store) newFile(path string, create func() (*os.File, error), write func(*os.File) error) (err error) {
	var f *os.File
	err = s.do("create", path, func() (err error) {
		f, err = create()
		return err
	})
	if f != nil {
		defer func() {
			if closed := f.Close(); err == nil {
				err = closed
			}
		}()
	}
	if err != nil {
		return err
	}
	if err := s.do("write", path, func() error { return write(f) }); err != nil {
		return err
	}
	return s.do("sync", path, f.Sync)
}

// prepare makes the store's folders, durably, once for each process. It makes all 256 fan-out
// folders together, which costs one sync instead of 256. It also syncs existing folders, since the
// process that made them may have been killed before it did.
func (s *Store) prepare() error {
	s.preparing.Lock()
	defer s.preparing.Unlock()
	if s.prepared {
		return nil
	}
	if err := s.do("mkdirall", s.root, func() error { return durable.MkdirAll(s.root, 0o700) }); err != nil {
		return err
	}
	for _, name := range []string{payloads, temporaries, storage.DescriptionFolder} {
		if err := s.makeFolder(s.folder(name)); err != nil {
			return err
		}
	}
	if err := s.syncFolder(s.root); err != nil {
		return err
	}
	for i := range 256 {
		if err := s.makeFolder(filepath.Join(s.folder(payloads), fmt.Sprintf("%02x", i))); err != nil {
			return err
		}
	}
	if err := s.syncFolder(s.folder(payloads)); err != nil {
		return err
	}
	s.prepared = true
	return nil
}

// makeFolder makes a folder unless it exists. A link is an error.
func (s *Store) makeFolder(path string) error {
	err := s.do("mkdir", path, func() error {
		err := os.Mkdir(path, 0o700)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return realFolder(path)
}

func (s *Store) syncFolder(path string) error {
	return s.do("syncdir", path, func() error { return durable.SyncFolder(path) })
}

// realFolder returns an error if path is not a folder.
func realFolder(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: want a folder, found %s", path, describe(info.Mode()))
	}
	return nil
}

// describe names the kind of a file.
func describe(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode.IsRegular():
		return "a file"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	default:
		return "neither a file nor a folder"
	}
}
