package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hartonomous/ingest/ingest"
)

// trashFolders returns the folders in which payloads are hidden. As a rule there is none.
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

// hidden returns where the payload of digest may be hidden.
func (s *Store) hidden(digest ingest.Digest) []string {
	folders := s.trashFolders()
	for i := range folders {
		folders[i] = filepath.Join(folders[i], digest.String())
	}
	return folders
}

// takeBack moves a payload that a Delete has hidden to its place again. It reports whether one of
// this size is there then.
func (s *Store) takeBack(digest ingest.Digest, bytes int64) bool {
	for _, path := range s.hidden(digest) {
		if !isFile(path, bytes) {
			continue
		}
		if err := s.link(path, s.payload(digest)); err == nil || errors.Is(err, fs.ErrExist) {
			return s.holds(digest, bytes)
		}
	}
	return false
}

// link gives a hidden payload its name in its place, durably, and then takes the hidden one from
// it. A name that is taken is fs.ErrExist.
func (s *Store) link(hidden, final string) error {
	err := s.do("link", final, func() error { return os.Link(hidden, final) })
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) { // a file system without links
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

// tidy removes the folders in which nothing is hidden any longer.
func (s *Store) tidy() {
	for _, folder := range s.trashFolders() {
		_ = os.Remove(folder) // fails where something is hidden
	}
	_ = os.Remove(s.folder(trash))
}
