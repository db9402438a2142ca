package format

import (
	"net/url"
	"runtime"
	"strings"
)

// fileURI returns the file: URI of an absolute path.
func fileURI(path string) string { return uriOf(path, runtime.GOOS == "windows") }

// uriOf returns the file: URI of a path. On Windows, D:\a is file:///D:/a, and \\host\share\a is
// file://host/share/a.
func uriOf(path string, windows bool) string {
	u := url.URL{Scheme: "file", Path: path}
	if windows {
		if rest, ok := strings.CutPrefix(path, `\\?\UNC\`); ok {
			path = `\\` + rest
		}
		path = strings.ReplaceAll(strings.TrimPrefix(path, `\\?\`), `\`, "/")
		if rest, ok := strings.CutPrefix(path, "//"); ok {
			host, share, _ := strings.Cut(rest, "/")
			u.Host, u.Path = host, "/"+share
		} else {
			u.Path = "/" + path
		}
	}
	return u.String()
}
