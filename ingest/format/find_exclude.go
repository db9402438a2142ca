package format

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// The reasons for which a search skips a file or folder. A given path is only refused if it is
// unfinished or a folder of keys.
var (
	errUnfinished = errors.New("an unfinished download")
	errHidden     = errors.New("hidden")
	errHiddenDir  = errors.New("a hidden folder: name it to search it")
	errKey        = errors.New("a key or a credential")
	errKeys       = errors.New("a folder of keys")
	errHistory    = errors.New("a history")
	errLog        = errors.New("a log")
	errTemporary  = errors.New("a temporary file of Ollama")
)

// excluded returns why a search skips a name; nil if it does not. Folders of models also contain
// private files: ~/.ollama has a key and the history of prompts, ~/.cache/huggingface a token.
func excluded(name string) error {
	name = strings.ToLower(name)
	switch {
	case strings.HasPrefix(name, "."):
		return errHidden
	case isUnfinished(name):
		return errUnfinished
	case isKey(name):
		return errKey
	case historyName.MatchString(name):
		return errHistory
	case logName.MatchString(name):
		return errLog
	case temporaryBlob.MatchString(name):
		return errTemporary
	}
	return nil
}

// Ollama's unfinished blobs are sha256-<hex>-partial, and their pieces -partial-0 and so on.
var partial = regexp.MustCompile(`-partial(-[0-9]+)?$`)

// unfinished are the extensions of unfinished downloads: of browsers, of download managers (.!qb is
// qBittorrent's, .filepart WinSCP's, .fdmdownload Free Download Manager's), and of the programs that
// fetch models (.incomplete is the Hugging Face hub's, .downloadinprogress llama.cpp's).
var unfinished = []string{".part", ".partial", ".crdownload", ".incomplete", ".tmp", ".download", aria2, ".!qb",
	".fdmdownload", ".opdownload", ".filepart", ".downloading", ".downloadinprogress"}

// aria2 is the extension of the control file that aria2c keeps beside a file until it is complete.
// The file has its final name and size from the start.
const aria2 = ".aria2"

func besideAria2(path string) error {
	return fmt.Errorf("%w: %s is beside it", errUnfinished, ingest.Printable(filepath.Base(path)+aria2))
}

func isUnfinished(name string) bool {
	name = strings.ToLower(name)
	return partial.MatchString(name) || strings.HasPrefix(name, "incomplete-") ||
		slices.Contains(unfinished, filepath.Ext(name))
}

var (
	keyExtensions = []string{".key", ".pem", ".p12", ".pfx", ".ppk", ".jks", ".keystore", ".kdbx"}
	credentials   = []string{"token", "stored_tokens", "credentials", "credentials.json", "authorized_keys",
		"known_hosts"}
	keyFolders  = []string{".ssh", ".gnupg"}
	historyName = regexp.MustCompile(`(^|[._-])history$`)
	logName     = regexp.MustCompile(`\.log([.-][0-9]+)*(\.(gz|bz2|xz|zst))?$`)
)

// isKey reports whether a name in lower case is that of a key (id_ed25519, id_rsa.pub, server.pem)
// or a credential.
func isKey(name string) bool {
	extension := filepath.Ext(name)
	return strings.HasPrefix(name, "id_") && !IsWeights(name) ||
		slices.Contains(keyExtensions, extension) || slices.Contains(credentials, name)
}

// Ollama writes a blob to sha256-<number> until it knows the digest, and collects the files of a
// model in blobs/<number>.
var (
	temporaryBlob   = regexp.MustCompile(`^sha256-[0-9]{1,20}$`)
	temporaryFolder = regexp.MustCompile(`^[0-9]+$`)
)
