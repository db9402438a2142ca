package format

import (
	"path/filepath"
	"slices"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/ollama"
)

// blob adds a blob of Ollama that is a given path, without the other files of its model. It has the
// name of the model whose weights it is, according to the manifests beside its folder; the first of
// several names. A search of the whole folder reports errors of manifests, blob ignores them.
func (f *finder) blob(at place) bool {
	digest, ok := ollama.BlobDigest(filepath.Base(at.path))
	folder := filepath.Dir(at.path)
	models := folderAt(filepath.Dir(folder))
	if !ok || filepath.Base(folder) != blobsFolder || !isOllama(models.path) {
		return false
	}
	f.nameLayout(models.path)
	at.claim = digest
	m := model{weights: []place{at}}
	manifests, err := lookupFolder(tree{models.real}, models, manifestsFolder)
	if err != nil {
		f.add(m)
		return true
	}
	quiet := f.apart().walkFrom(models, tree{models.real})
	_ = quiet.eachManifest(manifests, "", func(at place, path string, err error) {
		if err != nil {
			return
		}
		text, err := readSmall(at, ollama.MaxManifestBytes)
		if err != nil {
			return
		}
		parsed, err := ollama.ParseManifest(text)
		if err != nil {
			return
		}
		isBlob := func(l ollama.Layer) bool { return l.Digest == digest && l.Role == ingest.Weights }
		if name, err := ollama.Name(path); err == nil && slices.ContainsFunc(parsed.Layers, isBlob) &&
			(m.name == "" || name < m.name) {
			m.name = name
		}
	})
	f.add(m)
	return true
}

// blobClaim returns the digest that the name of a file claims by its place, also if a link leads to it
// or its folder was copied alone: blobs/sha256-<digest> of Ollama, blobs/<digest> in a hub cache,
// blobs/sha256/<digest> of OCI. It is zero for ramalama, where the first of these may mean a name.
func blobClaim(real string) (claim ingest.Digest) {
	folder, name := filepath.Dir(real), filepath.Base(real)
	above := filepath.Dir(folder)
	switch {
	case filepath.Base(folder) == "sha256" && filepath.Base(above) == blobsFolder,
		filepath.Base(folder) == blobsFolder && isHub(above):
		claim, _ = ingest.ParseDigest("sha256:" + name)
	case filepath.Base(folder) == blobsFolder:
		claim, _ = ollama.BlobDigest(name)
	}
	return claim
}
