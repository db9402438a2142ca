package format

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/huggingface"
)

// naming says to which folder the names of files are relative: see ingest.SourceFile.
type naming struct {
	scope string // the files in this folder, and below it
	base  string // are relative to this one, which is scope or above it
	flat  bool   // only files in scope itself
}

func (n naming) name(path string) (name string, ok bool) {
	within, err := filepath.Rel(n.scope, path)
	if err != nil || !filepath.IsLocal(within) || n.flat && filepath.Dir(path) != n.scope {
		return "", false
	}
	name, err = filepath.Rel(n.base, path)
	return filepath.ToSlash(name), err == nil && filepath.IsLocal(name)
}

// nameBelow makes the names of files below a folder relative to it.
func (f *finder) nameBelow(folder string) {
	f.namings[naming{scope: folder, base: folder}] = true
}

// nameBeside makes the last elements of their paths the names of the file at path and those beside it.
func (f *finder) nameBeside(path string) {
	f.namings[naming{scope: filepath.Dir(path), base: filepath.Dir(path), flat: true}] = true
}

// nameLayout makes the names of files of a layout relative to its root: for a repository, the cache that
// contains it.
func (f *finder) nameLayout(root string) {
	base := root
	if isHub(root) {
		if _, ok := huggingface.Repository(filepath.Base(root)); ok {
			base = filepath.Dir(root)
		} else if store := ramalamaStore(root); store != "" {
			base = filepath.Dir(store)
		}
	}
	f.namings[naming{scope: root, base: base}] = true
}

// ramalamaStore returns the folder named store that contains a path; empty if there is none.
func ramalamaStore(path string) string {
	_, name := ramalamaName(path)
	if name == "" {
		return ""
	}
	for range strings.Count(name, "/") + 2 { // the elements of the name, and the transport
		path = filepath.Dir(path)
	}
	return path
}

// nameFiles sets the names of files. Of several folders to which a file could be relative, the upper
// one counts, so that the names do not depend on the order of the given paths.
func (f *finder) nameFiles(sources []ingest.Source) {
	namings := slices.SortedFunc(maps.Keys(f.namings), func(a, b naming) int {
		return cmp.Compare(len(a.base), len(b.base))
	})
	for i := range sources {
		for j := range sources[i].Files {
			file := &sources[i].Files[j]
			file.Name = filepath.Base(file.Path)
			for _, n := range namings {
				if name, ok := n.name(file.Path); ok {
					file.Name = name
					break
				}
			}
		}
	}
}
