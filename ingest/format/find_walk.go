package format

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/source"
)

// walk searches a folder and what is below it.
type walk struct {
	*finder
	tree    tree
	visited map[string]bool // real folders, because links can form a cycle
	links   []place         // folders to visit at the end, so that they are found at their own path first
	only    map[string]bool // if set, the names of the files to find with those that belong to them
	layout  bool            // the folder belongs to a layout that names the models
	attach  bool            // small files also belong to GGUF models
	count   *count          // of the files that are not found
	// folderGiven is the given folder to which the patterns of the selection refer; empty if a file is given.
	folderGiven string

	// emit takes the models of one folder.
	emit func(folder place, models []model)
}

func (f *finder) walkFrom(at place, t tree) *walk {
	given := ""
	if at.info != nil && at.info.IsDir() {
		given = at.path
	}
	return &walk{finder: f, tree: t, visited: map[string]bool{}, count: f.countOf(at.path), folderGiven: given,
		emit: func(_ place, models []model) {
			for _, m := range models {
				f.add(m)
			}
		}}
}

// all runs start, which collects the links to folders, and then visits their targets.
func (w *walk) all(start func() error) error {
	err := start()
	for err == nil && len(w.links) > 0 {
		link := w.links[0]
		w.links = w.links[1:]
		err = w.folder(link)
	}
	return err
}

// folder searches a folder: the layouts of which it is the root, its own files, and its folders.
func (w *walk) folder(at place) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.visited[at.key()] || w.isClosed(at) {
		return nil
	}
	w.visited[at.key()] = true
	owned, err := w.searchLayouts(at)
	if err != nil {
		return err
	}
	c := newContents(at)
	err = eachEntry(at.path, func(entry fs.DirEntry) {
		if !owned(entry.Name()) {
			w.entry(c, entry)
		}
	})
	if err != nil {
		w.refuse(at.path, err) // entries may be incomplete
	}
	w.emit(at, w.group(c))
	for _, name := range c.folders {
		below := place{path: filepath.Join(at.path, name), real: filepath.Join(at.real, name), root: at.root}
		if err := w.folder(below); err != nil {
			return err
		}
	}
	return nil
}

// eachEntry calls visit for each entry of a folder, of which few are in memory at a time. It opens
// no pipe that has replaced the folder.
func eachEntry(path string, visit func(fs.DirEntry)) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	folder, err := root.Open(".")
	if err != nil {
		return err
	}
	defer folder.Close()
	for {
		entries, err := folder.ReadDir(1000)
		for _, entry := range entries {
			visit(entry)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// entry adds an entry of a folder to its contents.
func (w *walk) entry(c *contents, entry fs.DirEntry) {
	name := entry.Name()
	path := filepath.Join(c.folder.path, name)
	if w.isLeftOut(path, w.kindOf(entry)) {
		c.bad[name] = errLeftOut
		return
	}
	if reason := excluded(name); reason != nil {
		c.exclude(name, reason)
		switch {
		case (reason == errHidden || reason == errLog) && entry.Type().IsRegular() && !IsWeights(name):
			w.count.hidden++
		case entry.IsDir() && slices.Contains(keyFolders, name):
			w.skip(path, errKeys)
		case reason == errHidden && entry.IsDir() && !w.layout:
			w.skip(path, errHiddenDir)
		case !w.layout || reason == errUnfinished:
			w.skip(path, reason)
		}
		return
	}
	switch {
	case entry.IsDir():
		c.folders = append(c.folders, name)
	case entry.Type()&fs.ModeSymlink != 0:
		w.link(c, name)
	case entry.Type().IsRegular():
		w.file(c, name, place{path: path, real: filepath.Join(c.folder.real, name), root: c.folder.root})
	case IsWeights(name):
		w.refuse(path, source.CheckRegular(entry.Type()))
	default:
		w.count.others++
	}
}

// kindOf returns what an entry of a folder is, by its name. A link to a folder counts as a file that
// belongs to models: only a pattern of Exclude leaves it out.
func (w *walk) kindOf(entry fs.DirEntry) kind {
	name := entry.Name()
	switch {
	case entry.IsDir():
		return aFolder
	case IsWeights(name), contentName.MatchString(name) && !w.layout, w.opaque && smallRole(name) == "" &&
		!isCacheManifest(name) && entry.Type()&fs.ModeSymlink == 0:
		return aModel
	}
	return aMember
}

// file adds a regular file, or a link to one. It does not open it.
func (w *walk) file(c *contents, name string, at place) {
	switch {
	case w.isClosed(at):
	case IsWeights(name), contentName.MatchString(name) && !w.layout:
		at.claim = blobClaim(at.real)
		c.weights[name] = at
	case smallRole(name) != "":
		c.small[name] = at
	case isCut(name) && !w.opaque:
		w.refuse(at.path, gguf.ErrCut)
	case isCacheManifest(name):
		c.manifests = append(c.manifests, at)
	case w.opaque:
		c.opaque = append(c.opaque, at)
	default:
		w.count.others++
	}
}

// link adds the target of a link. A link that leads out of the tree is refused if a model is at its
// end. Another place is not a part of the folder, and may be on a drive that is not connected.
func (w *walk) link(c *contents, name string) {
	at, err := w.tree.lookup(c.folder, name)
	var outside *source.OutsideError
	var broken *brokenLinkError
	var excluded *excludedError
	switch {
	case errors.As(err, &broken), errors.As(err, &excluded):
		w.skip(at.path, err)
	case errors.As(err, &outside) && at.info.IsDir():
		w.skip(at.path, err)
	case errors.As(err, &outside) && !IsWeights(name) && !IsWeights(outside.Target):
		w.count.others++
	case err != nil:
		c.bad[name] = err
		w.refuse(at.path, err)
	case at.info.IsDir():
		w.links = append(w.links, at)
	case !at.info.Mode().IsRegular() && IsWeights(name):
		w.refuse(at.path, source.CheckRegular(at.info.Mode()))
	case !at.info.Mode().IsRegular():
		w.count.others++
	case !IsWeights(name) && IsWeights(at.real): // the name says less than that of its target
		c.weights[name] = at
	default:
		w.file(c, name, at)
	}
}

// apart returns a finder that keeps what it finds of one file's neighbours apart.
func (f *finder) apart() *finder {
	apart := newFinder(f.ctx, f.given, false)
	apart.closed, apart.selection, apart.left = f.closed, f.selection, f.left
	return apart
}
