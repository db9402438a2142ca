package dir

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/hartonomous/ingest/storage"
)

// The folders of a store, and the file with its owner.
const (
	payloads    = "sha256"
	temporaries = "tmp"
	trash       = "trash"
	catalogs    = "catalogs"
	ownerRecord = "owner"
)

func (s *Store) payload(p storage.Payload) string {
	return filepath.Join(s.root, filepath.FromSlash(p.Name()))
}

func (s *Store) fanOut(p storage.Payload) string { return filepath.Dir(s.payload(p)) }

func (s *Store) folder(name string) string { return filepath.Join(s.root, name) }

// uri is the same on every system.
func uri(p storage.Payload) string { return "dir:" + p.Name() }

// temporaryName returns a random name. O_EXCL detects collisions.
func temporaryName() string {
	return fmt.Sprintf("%d-%016x", os.Getpid(), rand.Uint64())
}

// isTemporary reports whether temporaryName may have made this name. Other files are not ours to
// delete.
func isTemporary(name string) bool {
	process, random, ok := strings.Cut(name, "-")
	return ok && process != "" && strings.Trim(process, "0123456789") == "" &&
		len(random) == 16 && strings.Trim(random, "0123456789abcdef") == ""
}
