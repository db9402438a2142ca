package format

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest/source"
)

// place is a file or folder as the search came upon it.
type place struct {
	path string      // as a person sees it: below the given path, with links in it
	real string      // without links
	root string      // a folder without links that holds real, and that opening path must not leave
	info fs.FileInfo // of what a link leads to
}

// folderAt is a folder that no search came upon: it holds what was given.
func folderAt(path string) place {
	real := source.Real(path)
	return place{path: path, real: real, root: real}
}

// key is the same for every way to one file.
func (p place) key() string {
	if runtime.GOOS == "windows" {
		return strings.ToLower(p.real)
	}
	return p.real
}

var modelExtensions = []string{".gguf", ".safetensors", ".bin", ".ggml", ".pt", ".pth", ".onnx"}

// better reports whether p is the better of two ways to one file. Some caches
// keep files under their digests, with links that bear the names.
func (p place) better(than place) bool {
	rank := func(p place) int {
		n := 0
		if !slices.Contains(modelExtensions, strings.ToLower(filepath.Ext(p.path))) {
			n += 2
		}
		if filepath.Base(p.path) != filepath.Base(p.real) {
			n++
		}
		return n
	}
	if a, b := rank(p), rank(than); a != b {
		return a < b
	}
	return p.path < than.path
}

// tree is the real files and folders that a search must not leave.
type tree []string

// treeOf returns the tree of the given paths: a link in one of them may lead into another. The blobs of a Hugging Face
// repository belong to its snapshots, which hold links to them.
func treeOf(paths []string) (t tree) {
	for _, path := range paths {
		if path, err := filepath.Abs(path); err == nil {
			real := source.Real(path)
			t = append(t, real)
			if blobs := blobsBeside(real); blobs != "" {
				t = append(t, blobs)
			}
		}
	}
	return t
}

// blobsBeside returns the blobs folder beside the snapshots folder that holds real; empty if there is none.
func blobsBeside(real string) string {
	for folder := real; folder != filepath.Dir(folder); folder = filepath.Dir(folder) {
		if filepath.Base(folder) == "snapshots" {
			blobs := filepath.Join(filepath.Dir(folder), blobsFolder)
			if info, err := os.Lstat(blobs); err == nil && info.IsDir() {
				return blobs
			}
		}
	}
	return ""
}

// root returns the folder of the tree that holds the real path of a file.
func (t tree) root(real string) (root string, ok bool) {
	for _, root := range t {
		rel, err := filepath.Rel(root, real)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		if rel == "." {
			root = filepath.Dir(real)
		}
		return root, true
	}
	return "", false
}

// look finds out what name is in folder, and follows it if it is a link within the tree.
func (t tree) look(folder place, name string) (place, error) {
	at := place{path: filepath.Join(folder.path, name), real: filepath.Join(folder.real, name), root: folder.root}
	info, err := os.Lstat(at.path)
	if err != nil {
		return at, err
	}
	at.info = info
	if info.Mode()&fs.ModeSymlink == 0 {
		return at, nil
	}
	real, err := filepath.EvalSymlinks(at.path)
	if errors.Is(err, fs.ErrNotExist) {
		return at, errors.New("a symbolic link that leads nowhere")
	}
	if err != nil {
		return at, fmt.Errorf("a symbolic link that cannot be followed: %w", withoutPath(err))
	}
	root, ok := t.root(real)
	if !ok {
		return at, &source.OutsideError{Target: real}
	}
	at.real, at.root = real, root
	at.info, err = os.Lstat(real)
	return at, err
}

// walk is one pass over a tree.
type walk struct {
	*finder
	tree    tree
	visited map[string]bool // real folders: links may lead in a circle
	links   []place
}

// walkAll takes in a folder and all below it.
func (f *finder) walkAll(root place) error {
	w := &walk{finder: f, tree: f.given, visited: map[string]bool{}}
	return w.all(func() error { return w.folder(root) })
}

// all runs a walk, which leaves the links aside, and then takes in what they
// lead to: so a file goes by its own place.
func (w *walk) all(start func() error) error {
	err := start()
	for err == nil && len(w.links) > 0 {
		link := w.links[0]
		w.links = w.links[1:]
		err = w.take(link)
	}
	return err
}

func (w *walk) folder(at place) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.visited[at.key()] {
		return nil
	}
	w.visited[at.key()] = true
	entries, err := os.ReadDir(at.path)
	if err != nil {
		w.refuse(at.path, err) // and what could be read of it is taken
	}
	models := isModelsFolder(entries)
	if models {
		if err := w.ollama(at, ollamaPart{blobs: true}); err != nil {
			return err
		}
	}
	for _, entry := range entries {
		if models && isOllamaFolder(entry.Name()) {
			continue
		}
		if err := w.entry(at, entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(folder place, name string) error {
	path := filepath.Join(folder.path, name)
	if reason := excluded(name); reason != nil {
		w.skip(path, reason)
		return nil
	}
	at, err := w.tree.look(folder, name)
	if err != nil {
		w.refuse(path, err)
		return nil
	}
	if at.info.IsDir() && filepath.Base(folder.real) == blobsFolder && temporaryFolder.MatchString(name) {
		w.skip(path, errTemporary)
		return nil
	}
	if at.real != filepath.Join(folder.real, name) {
		w.links = append(w.links, at)
		return nil
	}
	return w.take(at)
}

func (w *walk) take(at place) error {
	if at.info.IsDir() {
		return w.folder(at)
	}
	if err := source.CheckRegular(at.info.Mode()); err != nil {
		w.refuse(at.path, err)
		return nil
	}
	w.add(at)
	return nil
}
