package dir

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// The folders of a store, and the file with its owner.
const (
	payloads    = "sha256"
	temporaries = "tmp"
	trash       = "trash"
	catalogs    = "catalogs"
	ownerRecord = "owner"
)

func (s *Store) fanOut(d ingest.Digest) string {
	return filepath.Join(s.root, payloads, hex.EncodeToString(d[:1]))
}

func (s *Store) payload(d ingest.Digest) string {
	return filepath.Join(s.fanOut(d), d.String())
}

func (s *Store) folder(name string) string { return filepath.Join(s.root, name) }

// payloadName is the store's name for a payload, the same on every system.
func payloadName(d ingest.Digest) string {
	text := d.String()
	return payloads + "/" + text[:2] + "/" + text
}

func address(d ingest.Digest, bytes int) ingest.Address {
	return ingest.Address{URI: "dir:" + payloadName(d), Bytes: int64(bytes)}
}

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

// payloadDigest returns the digest that is the name of a file in the given fan-out folder.
func payloadDigest(fanOut, name string) (ingest.Digest, bool) {
	var d ingest.Digest
	if d.UnmarshalText([]byte(name)) != nil || name[:2] != fanOut {
		return ingest.Digest{}, false
	}
	return d, true
}
