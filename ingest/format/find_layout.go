package format

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// layout is how a program keeps its models in a folder.
type layout struct {
	// parts are the entries of the folder that belong to the layout.
	parts []string
	// is reports whether a folder has the layout, by a few of its entries.
	is func(folder string) bool
	// search adds the models of root. within is the given path if that is below root, and limits
	// the search to the models to which it belongs. It returns false if it found none there, and the
	// path is searched like any other.
	search func(w *walk, root, within place) (bool, error)
}

// layouts returns the known layouts. The first one that a folder has counts.
func layouts() []layout {
	return []layout{
		{[]string{"models.json", "layout.json", "blobs", "manifests", "bundles"}, isModelRunner, (*walk).modelRunner},
		{[]string{"oci-layout", "index.json", "blobs"}, isImageLayout, (*walk).imageLayout},
		{[]string{manifestsFolder, blobsFolder}, isOllama, (*walk).ollamaWithin},
		{[]string{"snapshots", "blobs", "refs", "trees", ".no_exist", ".locks"}, isHub, (*walk).hub},
	}
}

// isFolder and isFile report whether path is a folder, or a file, or a link to one.
func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// layoutOf returns the layout of a folder.
func layoutOf(folder string) (layout, bool) {
	for _, l := range layouts() {
		if l.is(folder) {
			return l, true
		}
	}
	return layout{}, false
}

// searchLayouts adds the models of a folder that has a layout. owned reports whether an entry of the
// folder belongs to the layout.
func (w *walk) searchLayouts(at place) (owned func(name string) bool, err error) {
	l, ok := layoutOf(at.path)
	if !ok {
		return func(string) bool { return false }, nil
	}
	w.nameLayout(at.path)
	_, err = l.search(w, at, place{})
	return func(name string) bool { return slices.Contains(l.parts, name) }, err
}

// layoutDepth is how far below the root of its layout a given path may be.
const layoutDepth = 12

// partOfLayout searches the layout to which a given path belongs, if it is below its root.
func (f *finder) partOfLayout(at place) (done bool, err error) {
	paths := []string{at.path}
	if at.info.IsDir() && at.real != at.path {
		paths = append(paths, at.real)
	}
	for _, path := range paths {
		folder := path
		for range layoutDepth {
			part := filepath.Base(folder)
			if folder = filepath.Dir(folder); folder == filepath.Dir(folder) {
				break
			}
			l, ok := layoutOf(folder)
			if !ok || !slices.Contains(l.parts, part) {
				continue
			}
			root := folderAt(folder)
			within := at
			within.path = path
			w := f.walkFrom(at, append(tree{root.real}, f.given...))
			err := w.all(func() (err error) {
				done, err = l.search(w, root, within)
				return err
			})
			if done {
				f.nameLayout(root.path)
			}
			return done, err
		}
	}
	return false, nil
}

// contains reports whether path is p or below it. The zero place contains all paths.
func (p place) contains(path string) bool {
	return p.path == "" || path == p.path || strings.HasPrefix(path, p.path+string(filepath.Separator))
}

// touches reports whether a file of the model is p or below it, or a link to such a file.
func (m *model) touches(p place, links bool) bool {
	in := func(at place) bool {
		return p.contains(at.path) || links && (place{path: p.real}).contains(at.real)
	}
	return slices.ContainsFunc(m.weights, in) ||
		slices.ContainsFunc(m.others, func(other member) bool { return in(other.place) })
}

// setClaims sets the digests that the names of a model's files claim by their place.
func (m *model) setClaims() {
	for i := range m.weights {
		m.weights[i].claim = blobClaim(m.weights[i].real)
	}
	for i := range m.others {
		m.others[i].claim = blobClaim(m.others[i].real)
	}
}
