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

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/source"
)

// place is a file or folder that a search found.
type place struct {
	path string      // below the given path; may contain links
	real string      // without links
	root string      // a folder without links that contains real; see ingest.SourceFile
	info fs.FileInfo // of the target if path is a link
}

// folderAt returns a folder that contains a given path.
func folderAt(path string) place {
	real := source.Real(path)
	return place{path: path, real: real, root: real}
}

// key is equal for all paths to one file.
func (p place) key() string {
	if runtime.GOOS == "windows" {
		return strings.ToLower(p.real)
	}
	return p.real
}

var modelExtensions = []string{".gguf", ".safetensors", ".bin", ".ggml", ".pt", ".pth", ".onnx"}

// better reports whether p is the better of two paths to one file. Some caches name files after
// their digests, and links after the models.
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

// tree is the set of real files and folders that a search does not leave.
type tree []string

// treeOf returns the tree of the given paths. A link in one of them may lead into another. The
// blobs of a Hugging Face repository are added to its snapshots, which consist of links to them.
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

// blobsBeside returns the blobs folder beside the snapshots folder that contains real; empty if
// there is none.
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

// root returns the folder of the tree that contains the real path of a file.
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

// lookup returns the entry name of folder. It follows a link within the tree.
func (t tree) lookup(folder place, name string) (place, error) {
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
		return at, errors.New("a broken symbolic link")
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

// excluded returns why a search skips the target of a link: by its name, or by that of a folder
// on the way to it from the given one.
func (p place) excluded() error {
	rest, err := filepath.Rel(p.root, p.real)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(rest, string(filepath.Separator)) {
		if reason := excluded(name); reason != nil && name != "." {
			return reason
		}
	}
	return nil
}

// walk searches a tree once.
type walk struct {
	*finder
	tree    tree
	visited map[string]bool // real folders, because links can form a cycle
	links   []place
}

// walkAll searches a folder and everything below it.
func (f *finder) walkAll(root place) error {
	w := &walk{finder: f, tree: f.given, visited: map[string]bool{}}
	return w.all(func() error { return w.folder(root) })
}

// all runs start, which collects the links, and then visits their targets. So a file is found at
// its own path first.
func (w *walk) all(start func() error) error {
	err := start()
	for err == nil && len(w.links) > 0 {
		link := w.links[0]
		w.links = w.links[1:]
		err = w.visit(link)
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
		w.refuse(at.path, err) // entries may be incomplete
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
	at, err := w.tree.lookup(folder, name)
	if err != nil {
		w.refuse(path, err)
		return nil
	}
	if at.info.IsDir() && filepath.Base(folder.real) == blobsFolder && temporaryFolder.MatchString(name) {
		w.skip(path, errTemporary)
		return nil
	}
	if at.real != filepath.Join(folder.real, name) {
		if reason := at.excluded(); reason != nil {
			w.skip(path, fmt.Errorf("a symbolic link to %s: %w", ingest.Printable(at.real), reason))
			return nil
		}
		w.links = append(w.links, at)
		return nil
	}
	return w.visit(at)
}

func (w *walk) visit(at place) error {
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
