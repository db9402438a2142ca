package format

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/ollama"
	"github.com/hartonomous/ingest/ingest/source"
)

// The two folders of an Ollama models folder.
const (
	manifestsFolder = "manifests"
	blobsFolder     = "blobs"
)

// manifestDepth is the depth of manifests below the manifests folder.
const manifestDepth = 4

func isOllamaFolder(name string) bool { return name == manifestsFolder || name == blobsFolder }

// isModelsFolder reports whether these are the entries of an Ollama models folder.
func isModelsFolder(entries []fs.DirEntry) bool {
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
			return e.Name() == name && !e.Type().IsRegular()
		})
	}
	return has(manifestsFolder) && has(blobsFolder)
}

// ollamaPart is the part of a models folder to search.
type ollamaPart struct {
	models string // path of the models folder
	within string // the manifest, or folder of manifests, relative to the manifests folder; empty for all
	blobs  bool   // also the blobs that no manifest names
}

func (p ollamaPart) contains(manifest string) bool {
	return p.within == "" || manifest == p.within || strings.HasPrefix(manifest, p.within+"/")
}

// partOf reports whether a given path is the blobs folder, the manifests folder, or a folder or
// manifest below the latter.
func partOf(at place) (ollamaPart, bool) {
	isFolder := func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.IsDir()
	}
	parent := filepath.Dir(at.path)
	if filepath.Base(at.path) == blobsFolder && at.info.IsDir() {
		return ollamaPart{models: parent, blobs: true}, isFolder(filepath.Join(parent, manifestsFolder))
	}
	path, depth := at.path, 0
	for depth < manifestDepth && filepath.Base(path) != manifestsFolder {
		path, depth = filepath.Dir(path), depth+1
	}
	if filepath.Base(path) != manifestsFolder || at.info.IsDir() == (depth == manifestDepth) {
		return ollamaPart{}, false
	}
	part := ollamaPart{models: filepath.Dir(path)}
	if depth > 0 {
		within, _ := filepath.Rel(path, at.path) // path is a prefix of at.path
		part.within = filepath.ToSlash(within)
	}
	return part, isFolder(filepath.Join(part.models, blobsFolder))
}

// ollamaPart searches a part of a models folder that is a given path.
func (f *finder) ollamaPart(part ollamaPart) error {
	models := folderAt(part.models)
	w := &walk{finder: f, tree: append(tree{models.real}, f.given...), visited: map[string]bool{}}
	return w.all(func() error { return w.ollama(models, part) })
}

// ollama searches a part of a models folder.
func (w *walk) ollama(models place, part ollamaPart) error {
	manifests, err := lookupFolder(w.tree, models, manifestsFolder)
	if err != nil {
		w.refuse(manifests.path, err)
		return nil
	}
	blobs, err := lookupFolder(w.tree, models, blobsFolder)
	if err != nil {
		w.refuse(blobs.path, err)
		return nil
	}
	err = w.eachManifest(manifests, "", func(at place, path string) {
		if part.contains(path) {
			w.manifest(blobStore{w.tree, blobs}, at, path)
		}
	})
	if err != nil || !part.blobs {
		return err
	}
	return w.folder(blobs)
}

func lookupFolder(t tree, parent place, name string) (place, error) {
	at, err := t.lookup(parent, name)
	if err == nil && !at.info.IsDir() {
		err = errors.New("it is not a folder")
	}
	return at, err
}

// eachManifest calls visit for every file at the depth of manifests. path is relative to the
// manifests folder.
func (w *walk) eachManifest(folder place, path string, visit func(at place, path string)) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.visited[folder.key()] {
		return nil
	}
	w.visited[folder.key()] = true
	entries, err := os.ReadDir(folder.path)
	if err != nil {
		w.refuse(folder.path, err)
	}
	for _, entry := range entries {
		below := strings.TrimPrefix(path+"/"+entry.Name(), "/")
		depth := strings.Count(below, "/") + 1
		at, err := w.tree.lookup(folder, entry.Name())
		switch {
		case strings.HasPrefix(entry.Name(), "."):
			w.skip(at.path, errHidden)
		case err != nil:
			w.refuse(at.path, err)
		case at.info.IsDir() && depth < manifestDepth:
			if err := w.eachManifest(at, below, visit); err != nil {
				return err
			}
		case at.info.Mode().IsRegular() && depth == manifestDepth:
			visit(at, below)
		case !at.info.IsDir() && !at.info.Mode().IsRegular():
			w.refuse(at.path, source.CheckRegular(at.info.Mode()))
		default:
			w.skip(at.path, errors.New("not at manifests/<host>/<namespace>/<model>/<tag>"))
		}
	}
	return nil
}

// manifest adds the model of a manifest.
func (f *finder) manifest(s blobStore, at place, path string) {
	text, parsed, err := readManifest(at)
	if err != nil {
		f.refuse(at.path, err)
		return
	}
	name, err := ollama.Name(path)
	if err != nil {
		f.refuse(at.path, err)
		return
	}
	for _, layer := range parsed.Layers {
		s.each(layer.Digest, func(blob place) { f.named[blob.key()] = true })
	}
	// Ollama may also keep the manifest as a blob.
	s.each(ingest.Sum(text), func(blob place) { f.named[blob.key()] = true })
	source, missing, err := parsed.Source(name, ingest.SourceFile{Path: at.path, Root: at.root}, s.find)
	f.refused = append(f.refused, missing...)
	if err != nil {
		if len(missing) == 0 {
			f.refuse(at.path, err)
		}
		return
	}
	f.models[at.key()+"\x00"+name] = source
}

func readManifest(at place) ([]byte, *ollama.Manifest, error) {
	file, err := source.Open(at.path, at.root)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, ollama.MaxManifestBytes+1))
	if err != nil {
		return nil, nil, err
	}
	parsed, err := ollama.ParseManifest(text)
	return text, parsed, err
}

// blobStore is a blobs folder of Ollama.
type blobStore struct {
	tree  tree
	blobs place
}

// each calls use for the files of a digest, mostly one.
func (s blobStore) each(digest ingest.Digest, use func(place)) {
	for _, name := range ollama.BlobNames(digest) {
		if at, err := s.tree.lookup(s.blobs, name); err == nil && at.info.Mode().IsRegular() {
			use(at)
		}
	}
}

// find is an ollama.Lookup.
func (s blobStore) find(digest ingest.Digest) (ingest.SourceFile, error) {
	names := ollama.BlobNames(digest)
	for _, name := range names {
		at, err := s.tree.lookup(s.blobs, name)
		if err == nil {
			err = source.CheckRegular(at.info.Mode())
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return ingest.SourceFile{Path: at.path, Root: at.root}, withoutPath(err)
		}
	}
	path := filepath.Join(s.blobs.path, names[0])
	if unfinished, err := s.tree.lookup(s.blobs, names[0]+"-partial"); err == nil {
		return ingest.SourceFile{Path: path}, fmt.Errorf("%w, %s", errUnfinished, ingest.Printable(unfinished.path))
	}
	return ingest.SourceFile{Path: path}, fs.ErrNotExist
}

// modelOfBlob returns the name of the model whose weights are this blob, according to the manifests
// beside its folder; the first of several names. A search of the whole folder reports errors of
// manifests, modelOfBlob ignores them.
func (f *finder) modelOfBlob(at place) string {
	digest, ok := ollama.BlobDigest(filepath.Base(at.path))
	folder := filepath.Dir(at.path)
	if !ok || filepath.Base(folder) != blobsFolder {
		return ""
	}
	models := folderAt(filepath.Dir(folder))
	t := tree{models.real}
	manifests, err := lookupFolder(t, models, manifestsFolder)
	if err != nil {
		return ""
	}
	var names []string
	quiet := walk{finder: &finder{ctx: f.ctx}, tree: t, visited: map[string]bool{}}
	_ = quiet.eachManifest(manifests, "", func(at place, path string) {
		_, parsed, err := readManifest(at)
		if err != nil {
			return
		}
		isBlob := func(l ollama.Layer) bool { return l.Digest == digest && l.Role == ingest.Weights }
		if name, err := ollama.Name(path); err == nil && slices.ContainsFunc(parsed.Layers, isBlob) {
			names = append(names, name)
		}
	})
	if len(names) == 0 {
		return ""
	}
	return slices.Min(names)
}
