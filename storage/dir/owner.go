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

// Owner returns the catalogue that the store belongs to. If there is none, it makes claim the
// owner; see ingest.Store.
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
	if err := s.prepare(); err != nil { // also syncs a record whose process was killed
		return "", err
	}
	if !recorded {
		if err := s.recordOwner(claim); err != nil {
			return "", err
		}
	}
	return s.recordedOwner()
}

// recordedOwner reads the file owner; empty if there is none. A file without a newline at the end
// is incomplete.
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
		return "", fmt.Errorf("%s does not contain a catalogue's identity: remove it if its writer was interrupted",
			path)
	}
	return owner, nil
}

// maxOwner is the maximum size of the file owner in bytes.
const maxOwner = 4096

// recordOwner writes the file owner if there is none. The file gets its name when it is whole and
// durable.
func (s *Store) recordOwner(claim string) error {
	path := s.folder(ownerRecord)
	temporary := filepath.Join(s.folder(temporaries), temporaryName())
	err := s.writeTemporary(temporary, []byte(claim+"\n"))
	if err == nil {
		err = s.do("link", path, func() error { return os.Link(temporary, path) })
		if err != nil && !errors.Is(err, fs.ErrExist) { // the file system has no links
			err = s.writeTemporary(path, []byte(claim+"\n"))
		}
	}
	_ = s.do("remove", temporary, func() error { return os.Remove(temporary) })
	if err != nil && !errors.Is(err, fs.ErrExist) { // fs.ErrExist: another process was first
		return err
	}
	return s.syncFolder(s.root)
}

// formerOwner returns the catalogue that used a store of an earlier version.
func (s *Store) formerOwner() (string, error) {
	entries, err := os.ReadDir(s.folder(catalogs))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	// A file that was added by hand counts, because the user can see it. Hidden files, which file
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

// unescape returns the identity of an entry's name: %XX is a byte.
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
