package format

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/oci"
	"github.com/hartonomous/ingest/ingest/format/ollama"
	"github.com/hartonomous/ingest/ingest/source"
)

// isImageLayout reports whether a folder is an OCI image layout.
func isImageLayout(folder string) bool {
	return isFile(filepath.Join(folder, "oci-layout")) && isFile(filepath.Join(folder, "index.json")) &&
		isFolder(filepath.Join(folder, blobsFolder))
}

// isModelRunner reports whether a folder is a store of Docker Model Runner.
func isModelRunner(folder string) bool {
	return isFile(filepath.Join(folder, "models.json")) && isFolder(filepath.Join(folder, blobsFolder, "sha256")) &&
		isFolder(filepath.Join(folder, manifestsFolder, "sha256"))
}

// imageLayout adds the models of an OCI image layout.
func (w *walk) imageLayout(root, within place) (bool, error) {
	return w.registry(root, within, "index.json", blobsFolder, oci.ParseIndex)
}

// modelRunner adds the models of Docker Model Runner. It unpacks them into bundles for programs that
// need a folder; these are the same files.
func (w *walk) modelRunner(root, within place) (bool, error) {
	rel, err := filepath.Rel(filepath.Join(root.path, "bundles"), within.path)
	if parts := strings.Split(rel, string(filepath.Separator)); err == nil && parts[0] != ".." {
		within = place{} // bundles/sha256/<digest of the manifest>/...
		if len(parts) > 1 {
			path := filepath.Join(root.path, manifestsFolder, parts[0], parts[1])
			within = place{path: path, real: path, info: root.info}
		}
	}
	return w.registry(root, within, "models.json", manifestsFolder, oci.ParseModels)
}

// registry is a folder with files that are named by their digests, in the same way as in a registry.
type registry struct {
	*walk
	tree      tree
	root      place
	manifests string // the folder of manifests: blobs, or one of their own
	within    place
	foundAny  bool
	named     map[string]bool        // models that were added or refused
	full      bool                   // named has maxManifests
	blobs     map[ingest.Digest]bool // that lists and manifests name
}

// registry adds the models that a list names, and their manifests.
func (w *walk) registry(root, within place, list, manifests string,
	parse func([]byte) ([]oci.Descriptor, error)) (bool, error) {
	r := &registry{walk: w, tree: append(tree{root.real}, w.tree...), root: root, manifests: manifests,
		within: within, named: map[string]bool{}, blobs: map[ingest.Digest]bool{}}
	if within.path == filepath.Join(root.path, list) { // stands for all
		r.within = place{}
	}
	at, err := r.tree.lookup(root, list)
	var text []byte
	if err == nil {
		text, err = readSmall(at, oci.MaxListBytes)
	}
	var models []oci.Descriptor
	if err == nil {
		models, err = parse(text)
	}
	if err != nil {
		w.refuse(at.path, err)
		return true, nil
	}
	if err = r.models(models, 0); within.path == "" && err == nil {
		r.countUnnamed()
	}
	return r.foundAny || within.path == "" || within.info == nil || within.info.IsDir(), err
}

// countUnnamed reports how many blobs no manifest names. What a manifest names that was not read is not
// known.
func (r *registry) countUnnamed() {
	left := 0
	folder := filepath.Join(r.root.path, blobsFolder, "sha256")
	_ = eachEntry(folder, func(entry fs.DirEntry) { // without blobs there are none
		digest, err := ingest.ParseDigest("sha256:" + entry.Name())
		switch {
		case isUnfinished(entry.Name()):
			r.skip(filepath.Join(folder, entry.Name()), errUnfinished)
		case err == nil && !r.blobs[digest]:
			left++
		}
	})
	if left > 0 {
		r.skip(folder, unnamedBlobs(left, "manifest"))
	}
}

// Limits of indexes that name other indexes: a short one can name each of a long one many times.
const (
	maxIndexes   = 4 // depth
	maxManifests = 20_000
)

func (r *registry) models(models []oci.Descriptor, depth int) error {
	for _, d := range models {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		key := d.Digest.String() + d.Name
		if r.named[key] {
			continue
		}
		if len(r.named) == maxManifests {
			if !r.full {
				r.refuse(r.root.path, fmt.Errorf("more than %d manifests: the others are not read", maxManifests))
			}
			r.full = true
			return nil
		}
		r.named[key] = true
		r.blobs[d.Digest] = true
		folder := r.manifests
		if d.Index {
			folder = blobsFolder
		}
		file, err := r.lookup(folder, d.Digest)
		var text []byte
		if err == nil {
			text, err = readSmall(place{path: file.Path, root: file.Root}, ollama.MaxManifestBytes)
		}
		if err == nil && ingest.Sum(text) != d.Digest {
			err = fmt.Errorf("its content is not what its name says: SHA-256 is %s", ingest.Sum(text))
		}
		switch {
		case err != nil:
			r.report(file.Path, err)
		case d.Index && depth < maxIndexes:
			list, err := oci.ParseIndex(text)
			if err != nil {
				r.report(file.Path, err)
				continue
			}
			for i := range list {
				if list[i].Name == "" {
					list[i].Name = d.Name
				}
			}
			if err := r.models(list, depth+1); err != nil {
				return err
			}
		case d.Index:
			r.report(file.Path, errors.New("indexes name each other too deeply"))
		default:
			r.model(d, file, text)
		}
	}
	return nil
}

// report refuses a file if it is asked for.
func (r *registry) report(path string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("the manifest is missing")
	}
	if r.within.contains(path) {
		r.refuse(path, err)
	}
}

// model adds the model of a manifest.
func (r *registry) model(d oci.Descriptor, own ingest.SourceFile, text []byte) {
	parsed, err := ollama.ParseManifest(text)
	if err != nil {
		r.report(own.Path, err)
		return
	}
	for _, layer := range parsed.Layers {
		r.blobs[layer.Digest] = true
	}
	own.Expected = d.Digest
	s, missing, err := parsed.Source(d.Name, own, func(digest ingest.Digest) (ingest.SourceFile, error) {
		return r.lookup(blobsFolder, digest)
	})
	switch {
	case r.isLeftOut(own.Path, aModel):
		r.foundAny = true
		return
	case err != nil && len(missing) == 0: // a container, for example
		r.skip(own.Path, errors.New("its manifest names no weights"))
		r.foundAny = r.foundAny || r.within.contains(own.Path)
		return
	case !r.asked(own, s.Files) && r.within.path != "":
		return
	}
	r.foundAny = true
	r.refused = append(r.refused, missing...)
	if err != nil {
		return
	}
	if s.URI = oci.URI(d.Name); d.Name == "" {
		s.URI = fileURI(own.Path)
	}
	r.addManifest(s)
}

// asked reports whether one of the files is in the given path.
func (r *registry) asked(own ingest.SourceFile, files []ingest.SourceFile) bool {
	for _, file := range append(files, own) {
		if r.within.contains(file.Path) {
			return true
		}
	}
	return false
}

// lookup is an ollama.Lookup.
func (r *registry) lookup(folder string, digest ingest.Digest) (ingest.SourceFile, error) {
	at := r.root
	var err error
	for _, name := range []string{folder, "sha256"} {
		if at, err = lookupFolder(r.tree, at, name); err != nil {
			return ingest.SourceFile{Path: at.path}, err
		}
	}
	at, err = r.tree.lookup(at, digest.String())
	if err == nil {
		err = source.CheckRegular(at.info.Mode())
	}
	return ingest.SourceFile{Path: at.path, Root: at.root}, err
}
