package format

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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

// isOllama reports whether a folder is a models folder of Ollama.
func isOllama(folder string) bool {
	return isFolder(filepath.Join(folder, manifestsFolder)) && isFolder(filepath.Join(folder, blobsFolder))
}

// ollamaPart is the part of a models folder to search.
type ollamaPart struct {
	within string // the manifest, or folder of manifests, relative to the manifests folder; empty for all
	blobs  bool   // also the blobs that no manifest names
}

func (p ollamaPart) contains(manifest string) bool {
	return p.within == "" || manifest == p.within || strings.HasPrefix(manifest, p.within+"/")
}

// ollamaWithin searches the part of a models folder that a given path is: the blobs folder, the
// manifests folder, or a folder or manifest below the latter. A blob is a file like any other.
func (w *walk) ollamaWithin(models, within place) (bool, error) {
	part := ollamaPart{blobs: true}
	if within.path != "" {
		rel, _ := filepath.Rel(models.path, within.path) // one is a prefix of the other
		names := strings.Split(filepath.ToSlash(rel), "/")
		switch depth := len(names) - 1; {
		case names[0] == blobsFolder && depth == 0:
		case names[0] == manifestsFolder && (depth < manifestDepth && within.info.IsDir() ||
			depth == manifestDepth && !within.info.IsDir()):
			part = ollamaPart{within: strings.Join(names[1:], "/")}
		default:
			return false, nil
		}
	}
	return true, w.ollama(models, part)
}

// ollama searches a part of a models folder. The blobs folder may be a link to anywhere: the names of
// its files are digests, with which their content is compared.
func (w *walk) ollama(models place, part ollamaPart) error {
	manifests, err := lookupFolder(w.tree, models, manifestsFolder)
	if err != nil {
		w.refuse(manifests.path, err)
		return nil
	}
	blobs, err := lookupFolder(append(tree{source.Real(filepath.Join(models.path, blobsFolder))}, w.tree...), models,
		blobsFolder)
	if err != nil {
		w.refuse(blobs.path, err)
		return nil
	}
	s := blobStore{tree: append(tree{blobs.real}, w.tree...), blobs: blobs, named: map[string]bool{}}
	err = w.eachManifest(manifests, "", func(at place, path string, err error) {
		switch {
		case err != nil:
			s.unread = true
			w.refuse(at.path, err)
		case part.contains(path) || part.blobs:
			w.manifest(&s, at, path)
		}
	})
	if err != nil || !part.blobs {
		return err
	}
	return w.orphans(&s)
}

// orphans adds the blobs that no manifest names. It leaves them out if a manifest could not be read:
// they may be the tensors of its model.
func (w *walk) orphans(s *blobStore) error {
	left := 0
	err := eachEntry(s.blobs.path, func(entry fs.DirEntry) {
		name := entry.Name()
		path := filepath.Join(s.blobs.path, name)
		reason := excluded(name)
		if entry.IsDir() && temporaryFolder.MatchString(name) {
			reason = errTemporary
		}
		if reason != nil {
			w.skip(path, reason)
			return
		}
		if s.named[digestName(name)] || w.isLeftOut(path, aModel) {
			return
		}
		if _, ok := ollama.BlobDigest(name); !ok { // nothing would be compared with its content
			w.count.others++
			return
		}
		at, err := s.tree.lookup(s.blobs, name)
		if err == nil {
			err = source.CheckRegular(at.info.Mode())
		}
		isModel := false
		if err == nil {
			at.claim, _ = ollama.BlobDigest(name)
			isModel, err = sniff(at)
		}
		switch {
		case err != nil:
			w.refuse(path, err)
		case s.unread && isModel:
			left++
		case isModel || w.opaque && !s.unread:
			w.add(model{weights: []place{at}})
		default:
			w.count.others++
		}
	})
	if err != nil {
		w.refuse(s.blobs.path, err)
	}
	if left > 0 {
		w.skip(s.blobs.path, fmt.Errorf("%s that no manifest names may belong to one that was not read",
			counted(int64(left), "blob")))
	}
	return w.ctx.Err()
}

// digestName returns the name of a blob in the form that is compared.
func digestName(name string) string {
	if digest, ok := ollama.BlobDigest(name); ok {
		return digest.String()
	}
	return name
}

func lookupFolder(t tree, parent place, name string) (place, error) {
	at, err := t.lookup(parent, name)
	if err == nil && !at.info.IsDir() {
		err = errors.New("it is not a folder")
	}
	return at, err
}

// eachManifest calls visit for every file at the depth of manifests, and with an error for each file or
// folder that cannot be read. path is relative to the manifests folder.
func (w *walk) eachManifest(folder place, path string, visit func(at place, path string, err error)) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.visited[folder.key()] {
		return nil
	}
	w.visited[folder.key()] = true
	entries, err := os.ReadDir(folder.path)
	if err != nil {
		visit(folder, path, err)
	}
	for _, entry := range entries {
		below := strings.TrimPrefix(path+"/"+entry.Name(), "/")
		depth := strings.Count(below, "/") + 1
		at, err := w.tree.lookup(folder, entry.Name())
		switch {
		case strings.HasPrefix(entry.Name(), "."):
			w.skip(at.path, errHidden)
		case err != nil:
			visit(at, below, err)
		case at.info.IsDir() && depth < manifestDepth:
			if err := w.eachManifest(at, below, visit); err != nil {
				return err
			}
		case at.info.Mode().IsRegular() && depth == manifestDepth:
			visit(at, below, nil)
		case !at.info.IsDir() && !at.info.Mode().IsRegular():
			w.refuse(at.path, source.CheckRegular(at.info.Mode()))
		default:
			w.skip(at.path, errors.New("not at manifests/<host>/<namespace>/<model>/<tag>"))
		}
	}
	return nil
}

// manifest adds the model of a manifest. It skips a file that Ollama does not read, such as one of an
// editor, and a model that runs elsewhere.
func (w *walk) manifest(s *blobStore, at place, path string) {
	name, err := ollama.Name(path)
	if err != nil {
		w.skip(at.path, err)
		return
	}
	leftOut := w.isLeftOut(at.path, aModel)
	text, err := readSmall(at, ollama.MaxManifestBytes)
	var parsed *ollama.Manifest
	if err == nil {
		parsed, err = ollama.ParseManifest(text)
	}
	var stray *ollama.StrayError
	switch {
	case err != nil && leftOut:
		s.unread = true
		return
	case errors.As(err, &stray):
		s.unread = s.unread || stray.Damaged
		w.skip(at.path, err)
		return
	case err != nil:
		s.unread = true
		w.refuse(at.path, err)
		return
	}
	for _, layer := range parsed.Layers {
		s.named[layer.Digest.String()] = true
	}
	s.named[ingest.Sum(text).String()] = true // Ollama may also keep the manifest as a blob
	if leftOut {
		return
	}
	if host := s.remoteHost(parsed); host != "" {
		w.skip(at.path, fmt.Errorf("%s runs at %s: nothing of it is here", name, ingest.Printable(host)))
		return
	}
	source, missing, err := parsed.Source(name, ingest.SourceFile{Path: at.path, Root: at.root}, s.find)
	w.refused = append(w.refused, missing...)
	if err != nil {
		if len(missing) == 0 {
			w.refuse(at.path, err)
		}
		return
	}
	w.addManifest(source)
}

// blobStore is a blobs folder of Ollama.
type blobStore struct {
	tree   tree
	blobs  place
	named  map[string]bool // the blobs that manifests name
	unread bool            // a manifest was not read
}

// remoteHost returns where a model without weights runs; empty if it has weights.
func (s *blobStore) remoteHost(m *ollama.Manifest) string {
	for _, layer := range m.Layers {
		if layer.Role == ingest.Weights {
			return ""
		}
	}
	for _, layer := range m.Layers {
		if layer.Role != ingest.Config {
			continue
		}
		if blob, err := s.find(layer.Digest); err == nil {
			text, err := readSmall(place{path: blob.Path, root: blob.Root}, ollama.MaxManifestBytes)
			if err == nil {
				return ollama.RemoteHost(text)
			}
		}
	}
	return ""
}

// find is an ollama.Lookup.
func (s *blobStore) find(digest ingest.Digest) (ingest.SourceFile, error) {
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
