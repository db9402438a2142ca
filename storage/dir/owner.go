package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// Owner returns the catalogue that the store belongs to, and makes claim the owner if nobody is;
// see ingest.Store.
func (s *Store) Owner(ctx context.Context, claim string) (owner string, err error) {
	err = s.try(ctx, func() error {
		owner, err = s.owner(claim)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("owner of the store: %w", err)
	}
	return owner, nil
}

func (s *Store) owner(claim string) (string, error) {
	owner, err := s.recordedOwner()
	if err != nil {
		return "", err
	}
	recorded := owner != ""
	if !recorded {
		if owner, err = s.formerOwner(); err != nil {
			return "", err
		}
	}
	if claim == "" || owner != "" && owner != claim {
		return owner, nil
	}
	if err := s.prepare(); err != nil { // it also makes a record durable whose process was killed
		return "", err
	}
	if !recorded {
		if err := s.recordOwner(claim); err != nil {
			return "", err
		}
	}
	return s.recordedOwner()
}

// recordedOwner reads the record; empty if there is none. The record ends with a new line: one that
// does not is not whole.
func (s *Store) recordedOwner() (string, error) {
	path := s.folder(ownerRecord)
	f, err := openFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text := make([]byte, maxOwner+1)
	n, _ := f.Read(text)
	owner, whole := strings.CutSuffix(string(text[:n]), "\n")
	if !whole || owner == "" {
		return "", fmt.Errorf(
			"%s does not hold the identity of a catalogue: remove it if its writer was interrupted",
			path,
		)
	}
	return owner, nil
}

// maxOwner is the longest record.
const maxOwner = 4096

// recordOwner writes the record on the condition that there is none. It has its name only when it
// is whole and on the disk.
func (s *Store) recordOwner(claim string) error {
	path := s.folder(ownerRecord)
	temporary := filepath.Join(s.folder(temporaries), temporaryName())
	err := s.writeTemporary(temporary, []byte(claim+"\n"))
	if err == nil {
		err = s.do("link", path, func() error { return os.Link(temporary, path) })
		if err != nil && !errors.Is(err, fs.ErrExist) { // a file system without links
			err = s.writeTemporary(path, []byte(claim+"\n"))
		}
	}
	_ = s.do("remove", temporary, func() error { return os.Remove(temporary) })
	if err != nil && !errors.Is(err, fs.ErrExist) { // else another process was first
		return err
	}
	return s.syncFolder(s.root)
}

// formerOwner is the catalogue that used the store before stores had an owner.
func (s *Store) formerOwner() (string, error) {
	entries, err := os.ReadDir(s.folder(catalogs))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	// A file that was put there by hand counts: a person can see it. Only hidden files, which file
	// managers leave, do not.
	entries = slices.DeleteFunc(entries, func(entry fs.DirEntry) bool { return strings.HasPrefix(entry.Name(), ".") })
	if len(entries) == 0 {
		return "", nil
	}
	var identities []string
	for _, entry := range entries {
		identities = append(identities, unescape(entry.Name()))
	}
	if len(identities) > 1 {
		return "", &ingest.SharedError{Catalogs: identities, Where: s.folder(catalogs)}
	}
	return identities[0], nil
}

// unescape turns the name of an entry into the identity that it was made for: %XX is a byte.
func unescape(name string) string {
	var identity strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			identity.WriteByte(name[i])
			continue
		}
		if i+3 > len(name) {
			return name
		}
		value, err := strconv.ParseUint(name[i+1:i+3], 16, 8)
		if err != nil {
			return name
		}
		identity.WriteByte(byte(value))
		i += 2
	}
	return identity.String()
}
