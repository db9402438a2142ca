package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/durable"
)

// do runs one change of the folder under the eyes of the hook.
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

// write puts payload under its digest. The order is the promise: the bytes are
// durable before they have the name, and the name is durable before write
// returns. A power cut after the rename may bring the temporary name back beside
// the new one; gc finds it there. With replace unset, it is enough that another
// writer was faster: Windows does not rename over a file that a reader has open.
func (s *Store) write(digest ingest.Digest, payload []byte, replace bool) error {
	temporary := filepath.Join(s.folder(temporaries), temporaryName())
	final := s.payload(digest)
	err := s.writeTemporary(temporary, payload)
	if err == nil {
		err = s.do("rename", final, func() error { return rename(temporary, final) })
	}
	if err != nil {
		// Gone already if the rename took place all the same: then nothing is left to remove.
		_ = s.do("remove", temporary, func() error { return os.Remove(temporary) })
		if replace || !s.holds(digest, int64(len(payload))) {
			return err
		}
	}
	return s.syncFolder(filepath.Dir(final))
}

// writeTemporary writes and syncs the file at path, which must not exist.
func (s *Store) writeTemporary(path string, payload []byte) (err error) {
	var f *os.File
	var direct bool
	err = s.do("create", path, func() (err error) {
		f, direct, err = create(path, payload)
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
	if err := s.do("write", path, func() error { return writeAll(f, payload, direct) }); err != nil {
		return err
	}
	return s.do("sync", path, f.Sync)
}

// prepare makes the store's folders, durably, once for each process. All 256
// fan-out folders are made at once: that costs one sync, not one for each. What
// exists already is synced too, for the process that made it may have been
// killed before it did so.
func (s *Store) prepare() error {
	s.preparing.Lock()
	defer s.preparing.Unlock()
	if s.prepared {
		return nil
	}
	if err := s.do("mkdirall", s.root, func() error { return durable.MkdirAll(s.root, 0o700) }); err != nil {
		return err
	}
	for _, name := range []string{payloads, temporaries} {
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

// makeFolder makes one folder, or finds it: a real one, not a link.
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

// realFolder returns an error if path is anything but a folder.
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

// describe says what kind of file stands where it should not.
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
