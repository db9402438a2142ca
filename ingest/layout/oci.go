package layout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/oci"
	"github.com/hartonomous/ingest/ingest/format/ollama"
)

// The media types of the OCI image specification and of ModelPack (github.com/modelpack/model-spec).
const (
	ociManifest   = "application/vnd.oci.image.manifest.v1+json"
	modelManifest = "application/vnd.cncf.model.manifest.v1+json"
	modelConfig   = "application/vnd.cncf.model.config.v1+json"
	weightLayer   = "application/vnd.cncf.model.weight.v1.raw"
	configLayer   = "application/vnd.cncf.model.weight.config.v1.raw"
	docLayer      = "application/vnd.cncf.model.doc.v1.raw"

	filePath = "org.cncf.model.filepath"
	title    = "org.opencontainers.image.title" // the name of the file that oras writes
)

// OCI returns a model as an OCI image layout, which tools such as oras push to a registry. A manifest
// that was ingested from a registry is kept, and so is one of Ollama that names each tensor. Otherwise,
// one is made as ModelPack specifies it: it has no times, so that it is always the same.
func OCI(m Model, read Read) (Layout, error) {
	l := Layout{Name: new(string), Entries: []Entry{imageLayout("")}}
	own, parsed, err := m.manifest(read)
	if err != nil {
		return l, err
	}
	if own != nil && (!parsed.IsOllama() || len(m.withRole(ingest.Weights)) > 1) {
		err := l.addBlobs(m, parsed, "blobs/sha256/")
		l.Entries = append(l.Entries, stored("blobs/sha256/"+own.Digest.String(), &own.StoredFile),
			imageIndex("", m.Alias.Name, descriptor{MediaType: cmp.Or(parsed.MediaType, ociManifest),
				Digest: digestText(own.Digest), Size: own.Bytes}, l.Name))
		return l, err
	}
	blob := func(mediaType string, content any) (descriptor, error) {
		text, err := json.Marshal(content)
		digest := ingest.Sum(text)
		l.Entries = append(l.Entries, made("blobs/sha256/"+digest.String(), text))
		return descriptor{MediaType: mediaType, Digest: digestText(digest), Size: int64(len(text))}, err
	}
	layers, err := l.modelPack(m)
	if err != nil {
		return l, err
	}
	config, err := blob(modelConfig, packConfig(m, layers))
	if err != nil {
		return l, err
	}
	manifest, err := blob(ociManifest, struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		ArtifactType  string       `json:"artifactType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}{2, ociManifest, modelManifest, config, layers})
	manifest.ArtifactType = modelManifest
	l.Entries = append(l.Entries, imageIndex("", m.Alias.Name, manifest, l.Name))
	return l, err
}

// modelPack adds the blobs of a model's files, and returns their layers.
func (l *Layout) modelPack(m Model) (layers []descriptor, err error) {
	repository, err := HuggingFace(m)
	if err != nil {
		return nil, err
	}
	l.Left = repository.Left
	for _, e := range repository.Entries {
		if err := checkPath(e.Path); err != nil { // other tools write files at these paths
			return nil, err
		}
		kind := configLayer
		switch role := e.Stored.Role; {
		case role == ingest.Weights || role == ingest.Projector || role == ingest.Adapter || role == "draft":
			kind = weightLayer
		case role == ingest.License || role == "readme":
			kind = docLayer
		}
		digest := e.Stored.Digest
		l.Entries = append(l.Entries, stored("blobs/sha256/"+digest.String(), e.Stored))
		layers = append(layers, descriptor{MediaType: kind, Digest: digestText(digest), Size: e.Stored.Bytes,
			Annotations: map[string]string{filePath: e.Path, title: e.Path}})
	}
	return layers, nil
}

// packConfig returns the configuration of a model as ModelPack specifies it.
func packConfig(m Model, layers []descriptor) any {
	type object = map[string]any
	ids := make([]string, len(layers))
	for i, layer := range layers {
		ids[i] = layer.Digest
	}
	config := object{"format": m.Type}
	if m.Architecture != "" {
		config["architecture"] = m.Architecture
	}
	if m.Parameters > 0 {
		config["paramSize"] = packSize(m.Parameters)
	}
	if kind := m.fileType(); kind != "" {
		config["quantization"] = kind
	}
	return object{"descriptor": object{"name": m.Alias.Name, "family": m.Architecture}, "config": config,
		"modelfs": object{"type": "layers", "diffIds": ids}}
}

// packSize returns a number with at most one digit after the point, and a unit.
func packSize(n int64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}} {
		if float64(n) >= unit.size {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/unit.size), ".0") + unit.name
		}
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/1e3), ".0") + "K"
}

// manifest returns the stored manifest of a model; nil if it has none.
func (m *Model) manifest(read Read) (*File, *ollama.Manifest, error) {
	files := m.withRole(ingest.Manifest)
	if len(files) == 0 {
		return nil, nil, nil
	}
	f := files[0]
	if f.Bytes > ollama.MaxManifestBytes {
		return nil, nil, fmt.Errorf("manifest %s has %d bytes", ingest.Printable(f.Path), f.Bytes)
	}
	text, err := read(f.StoredFile)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := ollama.ParseManifest(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", ingest.Printable(f.Path), err)
	}
	return f, parsed, nil
}

// addBlobs adds the files that a manifest names, with the names of their digests after prefix.
func (l *Layout) addBlobs(m Model, manifest *ollama.Manifest, prefix string) error {
	for _, layer := range manifest.Layers {
		f := m.withDigest(layer.Digest)
		if f == nil {
			return fmt.Errorf("the manifest names a %s blob that was missing when the model was ingested: %s (export "+
				"without --as writes the other files)", layer.Role, digestText(layer.Digest))
		}
		l.Entries = append(l.Entries, stored(prefix+layer.Digest.String(), &f.StoredFile))
	}
	for i := range m.Under {
		f := &m.Under[i]
		if f.Role != ingest.Manifest && !slices.ContainsFunc(manifest.Layers, func(layer ollama.Layer) bool {
			return layer.Digest == f.Digest
		}) {
			l.leave(f, "the manifest does not name it")
		}
	}
	return nil
}

// baseName returns the last element of a model's name, for the name of a file.
func baseName(m Model) string { return oci.Tag(path.Base(m.Alias.Name)) }
