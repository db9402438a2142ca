package layout

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/ollama"
)

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	ollamaLayer    = "application/vnd.ollama.image."
)

// Ollama returns a model as a models folder of Ollama. A manifest that Ollama wrote is kept. For other
// GGUF models, one is made as `ollama create` does. Ollama runs no other models.
func Ollama(m Model, read Read) (Layout, error) {
	var l Layout
	at, err := ollama.Path(m.Alias.Name)
	if err != nil {
		at, err = ollama.Path(OllamaName(m.Alias.Name))
	}
	if err != nil {
		return l, err
	}
	name, err := ollama.Name(at)
	if err != nil {
		return l, err
	}
	l.Name = &name
	own, parsed, err := m.manifest(read)
	if err != nil {
		return l, err
	}
	if own != nil && parsed.IsOllama() {
		err := l.addBlobs(m, parsed, "blobs/sha256-")
		l.Entries = append(l.Entries, stored("manifests/"+at, &own.StoredFile))
		return l, err
	}
	layers, err := l.ollamaLayers(m)
	if err != nil {
		return l, err
	}
	config, err := m.ollamaConfig(layers)
	if err != nil {
		return l, err
	}
	digest := ingest.Sum(config)
	l.Entries = append(l.Entries, made("blobs/sha256-"+digest.String(), config))
	manifest, err := json.Marshal(struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        descriptor   `json:"config"`
		Layers        []descriptor `json:"layers"`
	}{2, dockerManifest, descriptor{MediaType: dockerConfig, Digest: digestText(digest), Size: int64(len(config))},
		layers})
	l.Entries = append(l.Entries, made("manifests/"+at, manifest))
	return l, err
}

// ollamaLayers adds the blobs of a GGUF model, and returns their layers.
func (l *Layout) ollamaLayers(m Model) (layers []descriptor, err error) {
	weights := m.withRole(ingest.Weights)
	switch {
	case len(weights) == 0:
		return nil, errors.New("it has no weights")
	case weights[0].Format != "gguf":
		return nil, fmt.Errorf("Ollama runs GGUF models, and this is %s: convert it to GGUF first",
			ingest.Printable(weights[0].Format))
	case len(weights) > 1:
		return nil, fmt.Errorf("it is split into %d files, and Ollama runs one GGUF file: merge them first, for "+
			"example with llama-gguf-split --merge", len(weights))
	}
	if kind := m.text("general.type"); kind == "adapter" || kind == "mmproj" {
		return nil, fmt.Errorf("it is no model that Ollama runs, but of type %s", kind)
	}
	for i := range m.Under {
		f := &m.Under[i]
		kind := ""
		switch f.Role {
		case ingest.Weights:
			kind = "model"
		case ingest.Projector:
			kind = "projector"
		case ingest.License:
			kind = "license"
		case ingest.Template:
			l.leave(f, "Ollama does not read templates in Jinja; it knows those in GGUF files")
			continue
		default:
			l.leave(f, "Ollama has no layer for a %s", ingest.Printable(string(f.Role)))
			continue
		}
		l.Entries = append(l.Entries, stored("blobs/sha256-"+f.Digest.String(), &f.StoredFile))
		layers = append(layers, descriptor{MediaType: ollamaLayer + kind, Digest: digestText(f.Digest), Size: f.Bytes})
	}
	return layers, nil
}

// ollamaConfig returns the configuration that Ollama shows of a model.
func (m *Model) ollamaConfig(layers []descriptor) ([]byte, error) {
	type rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
	config := struct {
		Format       string   `json:"model_format"`
		Family       string   `json:"model_family"`
		Families     []string `json:"model_families"`
		Type         string   `json:"model_type"`
		FileType     string   `json:"file_type"`
		Architecture string   `json:"architecture"`
		OS           string   `json:"os"`
		RootFS       rootFS   `json:"rootfs"`
	}{Format: "gguf", Family: m.Architecture, Families: []string{m.Architecture}, Type: ollamaSize(m.Parameters),
		FileType: cmp.Or(m.fileType(), "unknown"), Architecture: "amd64", OS: "linux", RootFS: rootFS{Type: "layers"}}
	for _, layer := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.Digest)
	}
	if len(m.withRole(ingest.Projector)) > 0 {
		config.Families = append(config.Families, "clip")
	}
	return json.Marshal(config)
}

// ollamaSize returns a number of parameters as Ollama shows it: 8.0B for 8030261312.
func ollamaSize(n int64) string {
	switch whole := float64(n); {
	case n >= 1e9:
		return fmt.Sprintf("%.1fB", whole/1e9)
	case n >= 1e6 && n%1e6 == 0:
		return fmt.Sprintf("%.0fM", whole/1e6)
	case n >= 1e6:
		return fmt.Sprintf("%.2fM", whole/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0fK", whole/1e3)
	}
	return strconv.FormatInt(n, 10)
}
