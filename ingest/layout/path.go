package layout

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/ollama"
)

// maxName is the maximum size of a file's name, in bytes, on systems other than Windows.
const maxName = 255

// checkPath returns an error unless a path from the database is relative, stays in the folder, and can
// be the path of a file on this system.
func checkPath(name string) error { return checkPathOn(name, runtime.GOOS == "windows") }

func checkPathOn(name string, windows bool) error {
	for element := range strings.SplitSeq(name, "/") {
		reason := ""
		switch {
		case element == "" || element == "." || element == "..":
			reason = "it is not the relative path of a file"
		case strings.ContainsRune(element, 0):
			reason = "it has a zero byte"
		case !windows && len(element) > maxName:
			reason = fmt.Sprintf("a name has at most %d bytes", maxName)
		case windows && strings.ContainsAny(element, `<>:"|?*\`) || windows && strings.ContainsFunc(element,
			func(r rune) bool { return r < ' ' }):
			reason = "Windows does not allow its characters"
		case windows && strings.TrimRight(element, ". ") != element:
			reason = "Windows does not keep a dot or space at the end of a name"
		case windows && reserved.MatchString(element):
			reason = fmt.Sprintf("Windows reserves the name %s", ingest.Printable(element))
		}
		if reason != "" {
			return fmt.Errorf("cannot write a file as %.200q: %s (export without --as does not use the paths of files)",
				name, reason)
		}
	}
	return nil
}

// reserved matches the names of devices, which Windows finds in any folder and with any extension.
var reserved = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\.|$)`)

// checkLinks returns an error if a link in folder leads a path out of it. Like in a search, the blobs
// folder of Ollama may be a link to anywhere.
func checkLinks(folder, name string) error {
	if _, isBlob := ollama.BlobDigest(path.Base(name)); isBlob && path.Dir(name) == "blobs" {
		return nil
	}
	root, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return nil // nothing is there yet
	}
	for name = path.Dir(name); name != "."; name = path.Dir(name) {
		at := filepath.Join(folder, filepath.FromSlash(name))
		real, err := filepath.EvalSymlinks(at)
		if err != nil {
			continue // does not exist, and neither does what is below
		}
		if rel, err := filepath.Rel(root, real); err != nil || !filepath.IsLocal(rel) {
			return fmt.Errorf("%s is a symbolic link that leads out of %s: export to a folder without it",
				ingest.Printable(at), ingest.Printable(folder))
		}
		return nil
	}
	return nil
}
