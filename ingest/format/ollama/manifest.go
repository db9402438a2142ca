// Package ollama reads what Ollama keeps of a model: a manifest, which names the
// model's files by their digests, beside a folder of blobs.
//
//	<models>/manifests/<host>/<namespace>/<model>/<tag>   a manifest
//	<models>/blobs/sha256-<64 hexadecimal digits>         a file of one or more models
//
// A manifest comes from a stranger. Nothing in it becomes a path but a digest,
// and a digest is 64 hexadecimal digits. The package reads no folder: package
// format does, and asks here what the names in it mean.
package ollama

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// MaxManifestBytes is the most that a manifest may have. Real ones have 700 to
// 1,700 bytes; one that lists each tensor of a large model has some 500,000.
const MaxManifestBytes = 1 << 20

// Manifest names the files of one model.
type Manifest struct {
	// Layers are the files in the manifest's order, then the configuration. Each digest is there once.
	Layers []Layer
}

// Layer is one file that a manifest names.
type Layer struct {
	MediaType string
	Role      ingest.Role
	Digest    ingest.Digest
	Size      int64
	// From is where the creator of the model had the file. It is of no use to
	// others, and never opened.
	From string
}

// jsonManifest and jsonLayer are what is read of the text.
type jsonManifest struct {
	SchemaVersion int         `json:"schemaVersion"`
	Config        *jsonLayer  `json:"config"`
	Layers        []jsonLayer `json:"layers"`
}

type jsonLayer struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      *int64 `json:"size"`
	From      string `json:"from"`
}

// ParseManifest reads a manifest. An error says which layer is wrong, and why.
func ParseManifest(text []byte) (*Manifest, error) {
	if len(text) > MaxManifestBytes {
		return nil, fmt.Errorf("manifest of %d bytes: want at most %d", len(text), MaxManifestBytes)
	}
	var raw jsonManifest
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if raw.SchemaVersion != 2 {
		return nil, fmt.Errorf("manifest: schemaVersion is %d, want 2", raw.SchemaVersion)
	}
	m := &Manifest{}
	seen := map[ingest.Digest]int{} // index in m.Layers
	for i, layer := range raw.Layers {
		if err := m.add(seen, layer, roleOf(layer.MediaType)); err != nil {
			return nil, fmt.Errorf("manifest: layer %d: %w", i, err)
		}
	}
	if raw.Config != nil && raw.Config.Digest != "" {
		if err := m.add(seen, *raw.Config, ingest.Config); err != nil {
			return nil, fmt.Errorf("manifest: config: %w", err)
		}
	}
	return m, nil
}

// add appends one layer, or finds that it is there already.
func (m *Manifest) add(seen map[ingest.Digest]int, raw jsonLayer, role ingest.Role) error {
	digest, err := parseDigest(raw.Digest)
	if err != nil {
		return err
	}
	if raw.Size == nil {
		return errors.New("it has no size")
	}
	if *raw.Size < 0 {
		return fmt.Errorf("size is %d", *raw.Size)
	}
	layer := Layer{MediaType: raw.MediaType, Role: role, Digest: digest, Size: *raw.Size, From: raw.From}
	first, there := seen[digest]
	if !there {
		seen[digest] = len(m.Layers)
		m.Layers = append(m.Layers, layer)
		return nil
	}
	known := &m.Layers[first]
	if known.Size != layer.Size {
		return fmt.Errorf("%s has %d bytes here and %d in layer %d", digest.Short(), layer.Size, known.Size, first)
	}
	// The file is one, whatever it is called twice; that it holds weights counts more than what else it is.
	if role == ingest.Weights {
		known.Role = role
	}
	return nil
}

// parseDigest is ingest.ParseDigest with an error of bounded length.
func parseDigest(text string) (ingest.Digest, error) {
	if len(text) > 100 {
		return ingest.Digest{}, fmt.Errorf("a digest of %d characters", len(text))
	}
	digest, err := ingest.ParseDigest(text)
	if err == nil && digest.IsZero() {
		return digest, errors.New("the digest is all zeros")
	}
	return digest, err
}

const imagePrefix = "application/vnd.ollama.image."

// roleOf reads the role from a media type: the part after the prefix, without
// the parameters that may follow it. What is not a short plain word is "other".
func roleOf(mediaType string) ingest.Role {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	mediaType = strings.TrimSpace(mediaType)
	word, ok := strings.CutPrefix(mediaType, imagePrefix)
	switch {
	case mediaType == "application/vnd.docker.container.image.v1+json":
		return ingest.Config
	case !ok:
		return "other"
	case word == "model", word == "tensor": // a tensor layer holds one tensor of the model
		return ingest.Weights
	// words of ours, with a meaning of their own
	case word == string(ingest.Manifest) || word == string(ingest.Weights):
		return "other"
	case len(word) == 0 || len(word) > 32 || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "":
		return "other"
	default:
		return ingest.Role(word)
	}
}
