package format

import (
	"io/fs"
	"os"
	"path/filepath"
)

// file adds a file that is a given path, with the files that belong to it.
func (f *finder) file(at place) error {
	if isUnfinished(filepath.Base(at.path)) {
		f.refuse(at.path, errUnfinished)
		return nil
	}
	if _, err := os.Lstat(at.path + aria2); err == nil {
		f.refuse(at.path, besideAria2(at.path))
		return nil
	}
	if f.blob(at) {
		return f.ctx.Err()
	}
	if isSplit(filepath.Base(at.real)) && !isSplit(filepath.Base(at.path)) {
		at.path = at.real // a link to a part stands for it
	}
	f.nameBeside(at.path)
	at.claim = blobClaim(at.real)
	name := filepath.Base(at.path)
	if IsWeights(name) || smallRole(name) == roleIndex {
		key := besideKey(at)
		f.beside[key] = append(f.beside[key], at)
		return nil
	}
	f.add(model{weights: []place{at}})
	return nil
}

// besideKey is equal for given files that are searched together: those of one folder or, of a split
// model, its parts. An index and a sidecar are searched alone.
func besideKey(at place) string {
	name := filepath.Base(at.path)
	key := filepath.Dir(at.path) + "\x00" + filepath.Dir(at.real) + "\x00"
	switch set, _, ok := parseSplit(name); {
	case ok:
		key += set.part(1)
	case smallRole(name) == roleIndex, sidecarRole(name) != "":
		key += name
	}
	return key
}

// withNeighbours adds the models that contain the given files of one folder: weights, or an index. If
// a file is a link, the others may be links into the same folder.
func (f *finder) withNeighbours(given []place) error {
	path := filepath.Dir(given[0].path)
	folder := folderAt(path)
	t := append(tree{folder.real, filepath.Dir(given[0].real)}, f.given...)
	c := newContents(folder)
	reading := f.apart().walkFrom(folder, t)
	// If the folder cannot be listed, parts may be missing, and then the model is refused.
	_ = eachEntry(path, func(entry fs.DirEntry) { reading.entry(c, entry) })
	w := &walk{finder: f, tree: t, only: map[string]bool{}, count: new(count)}
	for _, at := range given {
		name := filepath.Base(at.path)
		if w.only[name] = true; smallRole(name) != roleIndex {
			c.weights[name] = at
		}
	}
	refused := len(f.refused)
	models := w.group(c)
	found := map[string]bool{}
	for _, m := range models {
		f.add(m)
		for _, at := range m.weights {
			found[at.path] = true
		}
	}
	for _, at := range given { // an index without weights, or a part of a model that is skipped
		stands := smallRole(filepath.Base(at.path)) == roleIndex && len(models) > 0
		if !stands && !found[at.path] && len(f.refused) == refused {
			f.add(model{weights: []place{at}})
		}
	}
	return f.ctx.Err()
}

func isSplit(name string) bool {
	_, _, ok := parseSplit(name)
	return ok
}
