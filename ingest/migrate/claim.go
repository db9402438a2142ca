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

// claim is what a row says that the SHA-256 of its file is.
type claim struct {
	digest ingest.Digest // zero where only reading tells
	by     string        // what says so
	lies   bool          // ContentHash is of the path
	note   string        // what is odd about the row, and no reason to refuse it
}

// digestName is the name of a file that says its digest.
var digestName = regexp.MustCompile(`^sha256[:-][0-9a-f]{64}$`)

// claimOf reads the claims of a row. An error says which of them contradict each other.
func claimOf(atom ingest.FileAtom) (claim, error) {
	var c claim
	if name := baseName(atom.Locator); digestName.MatchString(name) {
		c.digest, _ = ingest.ParseDigest(name) // the pattern is a digest
		c.by = "its name"
	}
	said, path, note := readMetadata(atom.Metadata)
	c.note = note
	c.lies = atom.Digest == pathHash(atom.Locator) || path != "" && atom.Digest == pathHash(path)
	switch {
	case said.IsZero():
	case c.digest.IsZero():
		c.digest, c.by = said, "Metadata.ollama_digest"
	case c.digest != said:
		return c, fmt.Errorf("its name says SHA-256 %s, and Metadata.ollama_digest %s", c.digest, said)
	}
	switch {
	case c.lies || c.digest == atom.Digest:
	case c.digest.IsZero():
		c.digest, c.by = atom.Digest, "ContentHash"
	default:
		return c, fmt.Errorf("%s says SHA-256 %s, and ContentHash %s, which is not the hash of the path either", c.by,
			c.digest, atom.Digest)
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
	if c.digest.IsZero() { // it was hashed first, and had another digest then
		return ingest.ErrChanged
	}
	return fmt.Errorf("the file has SHA-256 %s, and %s says %s: it is not the file that was registered", other.Got, c.by,
		c.digest)
}

// pathHash is what a script took for the hash of a file: that of the path's text, as SQL Server has it in memory.
func pathHash(path string) ingest.Digest {
	var text []byte
	for _, unit := range utf16.Encode([]rune(path)) {
		text = binary.LittleEndian.AppendUint16(text, unit)
	}
	return ingest.Sum(text)
}

// readMetadata reads ollama_digest, and file_path, where the file was when it was registered. Another program wrote the
// metadata, which may be anything.
func readMetadata(metadata json.RawMessage) (digest ingest.Digest, path, note string) {
	if len(metadata) == 0 {
		return digest, "", ""
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(metadata, &keys); err != nil {
		return digest, "", fmt.Sprintf("Metadata is not a JSON object: %v", err)
	}
	_ = json.Unmarshal(keys["file_path"], &path) // what is no text is no path
	value, there := keys["ollama_digest"]
	if !there || string(value) == "null" {
		return digest, path, ""
	}
	var text string
	err := json.Unmarshal(value, &text)
	if err == nil {
		digest, err = ingest.ParseDigest(text)
	}
	if err != nil {
		return ingest.Digest{}, path, fmt.Sprintf("Metadata.ollama_digest is not a digest: %v", err)
	}
	return digest, path, ""
}
