package layout

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// HuggingFace returns the files of a model as a repository: under their paths in it, as huggingface_hub
// downloads them into a folder. The repository of files from a plain folder is the folder that
// contains them all. The files of stores that name them by their digests get names: <name>.gguf,
// mmproj-<name>.gguf, LICENSE.
func HuggingFace(m Model) (Layout, error) {
	if len(m.withRole(ingest.Manifest)) > 0 {
		return fromManifest(m)
	}
	var l Layout
	root := commonFolder(m.Under)
	for i := range m.Under {
		f := &m.Under[i]
		l.Entries = append(l.Entries, stored(strings.TrimPrefix(f.Path, root), &f.StoredFile))
	}
	return l, nil
}

// commonFolder returns the folder that contains all files, with a slash, or empty: the folder of a
// snapshot if they are in one.
func commonFolder(files []File) string {
	root := ""
	for i, f := range files {
		folder := path.Dir(f.Path) + "/"
		if before, rest, ok := strings.Cut("/"+f.Path, "/snapshots/"); ok {
			if commit, _, ok := strings.Cut(rest, "/"); ok {
				folder = strings.TrimPrefix(before+"/snapshots/"+commit+"/", "/")
			}
		}
		if i == 0 {
			root = folder
		}
		for !strings.HasPrefix(f.Path, root) {
			root = strings.TrimSuffix(root, "/")
			root = root[:strings.LastIndexByte(root, '/')+1]
		}
	}
	return root
}

// fromManifest names the files of a model that are named by their digests.
func fromManifest(m Model) (Layout, error) {
	var l Layout
	if len(m.withRole(ingest.Weights)) != 1 {
		return l, errors.New("its manifest has several weights without names: use --as original")
	}
	used := map[string]int{}
	for i := range m.Under {
		f := &m.Under[i]
		name := ""
		switch f.Role {
		case ingest.Weights:
			name = baseName(m) + "." + extension(f)
		case ingest.Projector:
			name = "mmproj-" + baseName(m) + "." + extension(f)
		case ingest.License:
			name = "LICENSE"
		default:
			l.leave(f, "a %s has no place in this layout", ingest.Printable(string(f.Role)))
			continue
		}
		if used[name]++; used[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, used[name])
		}
		l.Entries = append(l.Entries, stored(name, &f.StoredFile))
	}
	return l, nil
}

// extension returns that of a file's format.
func extension(f *File) string {
	if f.Format == "gguf" || f.Format == "safetensors" {
		return f.Format
	}
	return "bin"
}
