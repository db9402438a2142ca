package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/storage"
)

// trashFolders returns the folders with hidden payloads. Usually there is none.
func (s *Store) trashFolders() []string {
	entries, err := os.ReadDir(s.folder(trash))
	if err != nil || !foldersAreReal(s.folder(trash)) {
		return nil
	}
	var folders []string
	for _, entry := range entries {
		if entry.IsDir() && isTemporary(entry.Name()) {
			folders = append(folders, filepath.Join(s.folder(trash), entry.Name()))
		}
	}
	return folders
}

// hidden returns the paths where the payload may be hidden.
func (s *Store) hidden(p storage.Payload) []string {
	folders := s.trashFolders()
	for i := range folders {
		folders[i] = filepath.Join(folders[i], p.String())
	}
	return folders
}

// takeBack moves a hidden payload back in place. It reports whether a payload of this size is in
// place then.
func (s *Store) takeBack(p storage.Payload, bytes int64) bool {
	for _, path := range s.hidden(p) {
		if !isFile(path, bytes) {
			continue
		}
		if err := s.link(path, s.payload(p)); err == nil || errors.Is(err, fs.ErrExist) {
			return s.holds(p, bytes)
		}
	}
	return false
}

// link links a hidden payload to its name in place, durably, and then removes the hidden name. It
// returns fs.ErrExist if the name is taken.
func (s *Store) link(hidden, final string) error {
	err := s.do("link", final, func() error { return os.Link(hidden, final) })
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) { // the file system has no links
		if _, err := os.Lstat(final); err == nil {
			return fs.ErrExist
		}
		err = s.do("rename", final, func() error { return rename(hidden, final) })
	}
	if err != nil {
		return err
	}
	if err := s.syncFolder(filepath.Dir(final)); err != nil {
		return err
	}
	return ignoreMissing(s.do("remove", hidden, func() error { return os.Remove(hidden) }))
}

// removeEmptyTrash removes folders in the trash that are empty.
func (s *Store) removeEmptyTrash() {
	for _, folder := range s.trashFolders() {
		_ = os.Remove(folder) // fails if it is not empty
	}
	_ = os.Remove(s.folder(trash))
}
