package format

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest/format/huggingface"
)

// isHub reports whether a folder is that of a repository in a Hugging Face hub cache, or of a model in
// the store of ramalama, which is like it:
//
//	models--<owner>--<name>/blobs/<digest>               a file
//	models--<owner>--<name>/snapshots/<commit>/<path>    a link to it, or on Windows the file
//	models--<owner>--<name>/refs/<branch or tag>         has the commit
//
//	store/<transport>/<owner>/<name>/blobs/sha256-<digest of a name>
//	store/<transport>/<owner>/<name>/snapshots/<id>/<path>
//	store/<transport>/<owner>/<name>/refs/<tag>.json     has the id and the names of the files
//
// The snapshots of a hub cache without blobs have the files themselves.
func isHub(folder string) bool {
	_, named := huggingface.Repository(filepath.Base(folder))
	return isFolder(filepath.Join(folder, "snapshots")) &&
		(named || isFolder(filepath.Join(folder, blobsFolder)) || isFolder(filepath.Join(folder, "refs")))
}

// Limits of a ref, which has a commit or, in ramalama, lists the files of a snapshot.
const (
	maxRefBytes = 1 << 20
	maxCommit   = 255
)

// revision is a name of a snapshot.
type revision struct {
	name string
	ref  place
}

// repository is one folder of the cache.
type repository struct {
	name      string // empty if the folder was renamed
	transport string // of ramalama; empty in a hub cache
	revisions map[string][]revision
}

// hub adds the models of a repository, once for each name of their snapshot.
func (w *walk) hub(root, within place) (bool, error) {
	repo := repository{revisions: map[string][]revision{}}
	var known bool
	if repo.name, known = huggingface.Repository(filepath.Base(root.path)); !known {
		repo.transport, repo.name = ramalamaName(root.path)
	}
	t := append(tree{root.real}, w.tree...)
	if refs, err := t.lookup(root, "refs"); err == nil && refs.info.IsDir() {
		w.refs(t, refs, refs.path, &repo)
	}
	snapshots, err := lookupFolder(t, root, "snapshots")
	if err != nil {
		w.refuse(snapshots.path, err)
		return true, nil
	}
	var folders []string
	err = eachEntry(snapshots.path, func(entry fs.DirEntry) { folders = append(folders, entry.Name()) })
	if err != nil {
		w.refuse(snapshots.path, err)
	}
	slices.Sort(folders)
	blobs := filepath.Join(root.path, blobsFolder)
	if within.contains(blobs) {
		w.unnamedBlobs(snapshots.path, blobs)
	}
	found := false
	for _, name := range folders {
		snapshot, err := t.lookup(snapshots, name)
		switch {
		case err != nil:
			w.refuse(snapshot.path, err)
		case snapshot.info.IsDir():
			some, err := w.snapshot(t, snapshot, &repo, within)
			if found = found || some; err != nil {
				return true, err
			}
		case within.contains(snapshot.path) && excluded(name) == nil:
			w.count.others++
		}
	}
	if !found && within.path != "" && !within.info.IsDir() && filepath.Dir(within.path) == blobs &&
		!isUnfinished(within.path) {
		within.claim = blobClaim(within.real)
		w.add(model{weights: []place{within}})
		found = true
	}
	return found || within.path == "" || within.info.IsDir(), nil
}

// snapshot adds the models of one snapshot that belong to within.
func (w *walk) snapshot(t tree, at place, repo *repository, within place) (found bool, err error) {
	commit := filepath.Base(at.path)
	revisions := repo.revisions[commit]
	if len(revisions) == 0 && repo.transport == "" {
		revisions = []revision{{name: commit}}
	}
	if len(revisions) == 0 {
		revisions = []revision{{}}
	}
	below := &walk{finder: w.finder, tree: t, visited: map[string]bool{}, count: w.count, layout: true,
		folderGiven: w.folderGiven, attach: repo.transport != ""}
	if within.path != "" && !within.contains(at.path) { // a part: what the rest has is not asked for
		below.finder = w.apart()
		below.count = new(count)
	}
	inBlobs := within.path != "" && !strings.HasPrefix(within.path, filepath.Dir(at.path)+string(filepath.Separator))
	below.emit = func(folder place, models []model) {
		for _, m := range models {
			// A file of Git LFS is named by its SHA-256, and has a claim; others are named by 40 digits.
			m.setClaims()
			path, _ := filepath.Rel(at.path, modelPath(folder, &m)) // one is a prefix of the other
			for _, r := range revisions {
				if !m.touches(within, inBlobs) && !within.contains(r.ref.path) {
					continue
				}
				found = true
				m.name, m.uri = repo.nameOf(r.name, filepath.ToSlash(path))
				w.add(m)
			}
		}
	}
	err = below.all(func() error { return below.folder(at) })
	if below.finder != w.finder {
		w.takeNotes(below.finder, within)
	}
	return found, err
}

// takeNotes adds the notes about files of a part of the tree.
func (f *finder) takeNotes(from *finder, within place) {
	for _, note := range from.skipped {
		if within.contains(note.Path) {
			f.skipped = append(f.skipped, note)
		}
	}
	for _, note := range from.refused {
		if within.contains(note.Path) {
			f.refused = append(f.refused, note)
		}
	}
}

// modelPath returns the path that names a model in its repository: its file, without the number of a
// part, or its folder if the file has the name that such files mostly have.
func modelPath(folder place, m *model) string {
	name := filepath.Base(m.weights[0].path)
	if set, _, ok := parseSplit(name); ok {
		name = set.name + set.extension
	}
	if isGeneric(name) {
		return folder.path
	}
	return filepath.Join(folder.path, name)
}

// genericNames are names of weights, without extension, that say nothing about the model.
var genericNames = []string{"model", "adapter_model", "pytorch_model", "diffusion_pytorch_model", "consolidated",
	"weights", "adapters"}

// isGeneric reports whether a name of weights says nothing about the model.
func isGeneric(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, filepath.Ext(name)))
	return slices.Contains(genericNames, name)
}

// nameOf returns the name and URI of a model at path in the repository.
func (r *repository) nameOf(revision, path string) (name, uri string) {
	switch {
	case r.name == "":
		return "", ""
	case r.transport == "":
		if path == "." {
			path = ""
		}
		return huggingface.Name(r.name, revision, path), huggingface.URI(r.name, revision, path)
	}
	name = r.name
	if revision != "" {
		name += ":" + revision
	}
	return name, "ramalama://" + r.transport + "/" + name
}

// ramalamaName returns the transport and the name of the model in a folder: store/<transport>/<name>.
func ramalamaName(path string) (transport, name string) {
	parts := strings.Split(filepath.ToSlash(path), "/")
	for i := len(parts) - 2; i >= 0; i-- {
		if parts[i] == "store" && i+2 < len(parts) {
			return parts[i+1], strings.Join(parts[i+2:], "/")
		}
	}
	return "", ""
}

// refs reads the names of the snapshots in a folder below root. Names of branches may contain slashes,
// and so be in folders.
func (w *walk) refs(t tree, folder place, root string, repo *repository) {
	if w.visited[folder.key()] { // links can form a cycle
		return
	}
	w.visited[folder.key()] = true
	var folders []place
	err := eachEntry(folder.path, func(entry fs.DirEntry) {
		at, err := t.lookup(folder, entry.Name())
		switch {
		case excluded(entry.Name()) != nil:
		case err != nil:
			w.skip(at.path, err)
		case at.info.IsDir():
			folders = append(folders, at)
		case at.info.Mode().IsRegular():
			w.ref(at, root, repo)
		}
	})
	if err != nil {
		w.refuse(folder.path, err)
	}
	for _, at := range folders {
		w.refs(t, at, root, repo)
	}
}

// ref reads the name of a snapshot.
func (w *walk) ref(at place, root string, repo *repository) {
	text, err := readSmall(at, maxRefBytes)
	if err != nil {
		w.refuse(at.path, err)
		return
	}
	name, _ := filepath.Rel(root, at.path)                   // root is a prefix
	commit := strings.Clone(strings.TrimSpace(string(text))) // without the rest of the text
	if repo.transport != "" {
		var ref struct{ Hash string }
		if err := json.Unmarshal(text, &ref); err != nil {
			w.refuse(at.path, fmt.Errorf("not a ref of ramalama: %w", err))
			return
		}
		name, commit = strings.TrimSuffix(name, ".json"), ref.Hash
	}
	if len(commit) > maxCommit { // not the name of a folder, and not kept in memory
		w.refuse(at.path, fmt.Errorf("a commit of %d bytes", len(commit)))
		return
	}
	repo.revisions[commit] = append(repo.revisions[commit], revision{filepath.ToSlash(name), at})
}

// unnamedBlobs reports the blobs of a repository that are not complete, and counts those to which no
// snapshot has a link: a copy may have lost its links.
func (w *walk) unnamedBlobs(snapshots, blobs string) {
	named, left := map[string]bool{}, 0
	_ = filepath.WalkDir(snapshots, func(path string, entry fs.DirEntry, err error) error { // the search reports errors
		if err == nil && entry.Type()&fs.ModeSymlink != 0 {
			target, _ := os.Readlink(path)
			named[filepath.Base(target)] = true
		}
		return w.ctx.Err()
	})
	_ = eachEntry(blobs, func(entry fs.DirEntry) { // without blobs there are none
		switch name := entry.Name(); {
		case isUnfinished(name):
			w.skip(filepath.Join(blobs, name), errUnfinished)
		case !named[name] && !entry.IsDir() && excluded(name) == nil:
			left++
		}
	})
	if left > 0 {
		w.skip(blobs, unnamedBlobs(left, "snapshot"))
	}
}

// unnamedBlobs is the note about n blobs of a folder.
func unnamedBlobs(n int, by string) error {
	if n == 1 {
		return fmt.Errorf("1 blob that no %s names: name it to ingest it", by)
	}
	return fmt.Errorf("%d blobs that no %s names: name them to ingest them", n, by)
}
