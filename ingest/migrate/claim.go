package migrate

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"unicode/utf16"

	"github.com/hartonomous/ingest/ingest"
)

// claim is the digest that a row claims for its file.
type claim struct {
	digest     ingest.Digest // zero if the row claims none
	by         string        // what claims it
	hashesPath bool          // ContentHash is the hash of the path
	note       string        // a fault of the row that does not prevent its migration
}

// digestName matches names of files that are digests.
var digestName = regexp.MustCompile(`^sha256[:-][0-9a-f]{64}$`)

// claimOf reads the claims of a row. It returns an error if they contradict each other.
func claimOf(atom ingest.FileAtom) (claim, error) {
	var c claim
	if name := baseName(atom.Locator); digestName.MatchString(name) {
		c.digest, _ = ingest.ParseDigest(name) // the pattern is a digest
		c.by = "its name"
	}
	said, note := readMetadata(atom.Metadata)
	if c.note = note; atom.LargeMetadata {
		c.note = "Metadata has more than 64 KiB and was not read"
	}
	c.hashesPath = atom.Digest == pathHash(atom.Locator) || said.path != "" && atom.Digest == pathHash(said.path)
	switch {
	case said.digest.IsZero():
	case c.digest.IsZero():
		c.digest, c.by = said.digest, "Metadata.ollama_digest"
	case c.digest != said.digest:
		return c, fmt.Errorf("its name claims SHA-256 %s, and Metadata.ollama_digest %s", c.digest, said.digest)
	}
	switch {
	case c.hashesPath || c.digest == atom.Digest:
	case c.digest.IsZero():
		c.digest, c.by = atom.Digest, "ContentHash"
	default:
		return c, fmt.Errorf("%s claims SHA-256 %s, and ContentHash is %s, which is not the hash of the path either",
			c.by, c.digest, atom.Digest)
	}
	return c, nil
}

// refuse explains that the file is not what a row claims.
func (c claim) refuse(err error) error {
	var other *ingest.MismatchError
	var fatal *fatalError // about the copy
	if !errors.As(err, &other) || errors.As(err, &fatal) {
		return err
	}
	if c.digest.IsZero() { // the file was hashed before, with another digest
		return ingest.ErrChanged
	}
	return fmt.Errorf("the file has SHA-256 %s, and %s claims %s: it is not the file that was registered", other.Got,
		c.by, c.digest)
}

// pathHash returns the hash of a path's text in UTF-16LE, as HASHBYTES of SQL Server computes it. A
// script put it into ContentHash instead of the hash of the file.
func pathHash(path string) ingest.Digest {
	var text []byte
	for _, unit := range utf16.Encode([]rune(path)) {
		text = binary.LittleEndian.AppendUint16(text, unit)
	}
	return ingest.Sum(text)
}

// metadata is what the keys of Metadata say.
type metadata struct {
	digest     ingest.Digest // ollama_digest
	path       string        // file_path, at which the file was registered
	registered bool          // load_on_demand: the row was made for a file at a path
}

// readMetadata reads what another program may have written: keys may be missing or malformed.
func readMetadata(text json.RawMessage) (said metadata, note string) {
	if len(text) == 0 {
		return said, ""
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return said, fmt.Sprintf("Metadata is not a JSON object: %v", err)
	}
	_ = json.Unmarshal(keys["file_path"], &said.path) // ignored if it is not a string
	_, said.registered = keys["load_on_demand"]
	value, there := keys["ollama_digest"]
	if !there || string(value) == "null" {
		return said, ""
	}
	var digest string
	err := json.Unmarshal(value, &digest)
	if err == nil {
		said.digest, err = ingest.ParseDigest(digest)
	}
	if err != nil {
		said.digest = ingest.Digest{}
		return said, fmt.Sprintf("Metadata.ollama_digest is not a digest: %v", err)
	}
	return said, ""
}
