package layout

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// checkPath returns an error unless a path from the database is relative, stays in the folder, and can
// be the path of a file on this system.
func checkPath(path string) error { return checkPathOn(path, runtime.GOOS == "windows") }

func checkPathOn(path string, windows bool) error {
	for element := range strings.SplitSeq(path, "/") {
		reason := ""
		switch {
		case element == "" || element == "." || element == "..":
			reason = "it is not the relative path of a file"
		case strings.ContainsRune(element, 0):
			reason = "it has a zero byte"
		case windows && strings.ContainsAny(element, `<>:"|?*\`) || windows && strings.ContainsFunc(element,
			func(r rune) bool { return r < ' ' }):
			reason = "Windows does not allow its characters"
		case windows && strings.TrimRight(element, ". ") != element:
			reason = "Windows does not keep a dot or space at the end of a name"
		case windows && reserved.MatchString(element):
			reason = fmt.Sprintf("Windows reserves the name %s", ingest.Printable(element))
		}
		if reason != "" {
			return fmt.Errorf("cannot write a file as %q: %s (export without --as does not use the paths of files)",
				path, reason)
		}
	}
	return nil
}

// reserved matches the names of devices, which Windows finds in any folder and with any extension.
var reserved = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\.|$)`)
