// Package ollama reads the models of Ollama: a manifest names the files of a model by their
// digests, and a folder of blobs contains the files.
//
//	<models>/manifests/<host>/<namespace>/<model>/<tag>   a manifest
//	<models>/blobs/sha256-<64 hexadecimal digits>         a file of one or more models
//
// Manifests are not trusted. Only digests in them become parts of paths, and a digest is 64
// hexadecimal digits. The package parses names and manifests; package format reads the folders.
package ollama

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/oci"
)

// MaxManifestBytes limits the size of a manifest. Real ones have 700 to 1,700 bytes; one that lists
// each tensor of a large model has about 500,000.
const MaxManifestBytes = 1 << 20

// Manifest names the files of one model.
type Manifest struct {
	MediaType string // of the manifest itself
	// Layers are the files in the manifest's order, then the configuration, each digest once.
	Layers []Layer
}

// Layer is one file that a manifest names.
type Layer struct {
	MediaType string
	Role      ingest.Role
	Digest    ingest.Digest
	Size      int64 // in bytes
}

// jsonManifest and jsonLayer are the fields of a manifest that ParseManifest reads.
type jsonManifest struct {
	SchemaVersion int         `json:"schemaVersion"`
	MediaType     string      `json:"mediaType"`
	Config        *jsonLayer  `json:"config"`
	Layers        []jsonLayer `json:"layers"`
}

type jsonLayer struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        *int64            `json:"size"`
	Annotations map[string]string `json:"annotations"`
}

// ParseManifest parses a manifest. The error names the invalid layer.
func ParseManifest(text []byte) (*Manifest, error) {
	if len(text) > MaxManifestBytes {
		return nil, fmt.Errorf("manifest of %d bytes: want at most %d", len(text), MaxManifestBytes)
	}
	if err := checkStray(text); err != nil {
		return nil, err
	}
	var raw jsonManifest
	// Like Ollama, read the first value, and ignore what follows.
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&raw); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("it is cut off: pull the model again")
		}
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if raw.SchemaVersion != 2 {
		return nil, fmt.Errorf("manifest: schemaVersion is %d, want 2", raw.SchemaVersion)
	}
	m := &Manifest{MediaType: raw.MediaType}
	seen := map[ingest.Digest]int{} // index in m.Layers
	for i, layer := range raw.Layers {
		if err := m.add(seen, layer, roleOf(layer)); err != nil {
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

// IsOllama reports whether the manifest has layers of Ollama, and not only those of other registries.
func (m *Manifest) IsOllama() bool {
	return slices.ContainsFunc(m.Layers, func(l Layer) bool { return strings.HasPrefix(l.MediaType, imagePrefix) })
}

// StrayError says that a file among the manifests is none. Ollama ignores such files.
type StrayError struct {
	Reason string
	// Damaged is set if the file may have been a manifest.
	Damaged bool
}

func (e *StrayError) Error() string { return "not a manifest: " + e.Reason }

// checkStray returns a StrayError if the text does not start like a JSON object.
func checkStray(text []byte) error {
	switch rest := bytes.TrimLeft(text, " \t\r\n"); {
	case len(rest) == 0:
		return &StrayError{"the file is empty", true}
	case bytes.Count(text, []byte{0}) == len(text):
		return &StrayError{"it has only zeros", true}
	case bytes.HasPrefix(rest, []byte("\xef\xbb\xbf")):
		return &StrayError{"it starts with a byte order mark, which Ollama does not read", true}
	case bytes.HasPrefix(rest, []byte("\xff\xfe")), bytes.HasPrefix(rest, []byte("\xfe\xff")):
		return &StrayError{"it is text in UTF-16, which Ollama does not read", true}
	case rest[0] != '{':
		return &StrayError{fmt.Sprintf("it starts with %.20q", rest), false}
	}
	return nil
}

// RemoteHost returns the host at which a model runs, from its configuration; empty if it runs here.
func RemoteHost(config []byte) string {
	var c struct {
		RemoteHost string `json:"remote_host"`
	}
	if json.Unmarshal(config, &c) != nil {
		return ""
	}
	return c.RemoteHost
}

// add appends a layer unless its digest is already present.
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
	layer := Layer{MediaType: raw.MediaType, Role: role, Digest: digest, Size: *raw.Size}
	index, present := seen[digest]
	if !present {
		seen[digest] = len(m.Layers)
		m.Layers = append(m.Layers, layer)
		return nil
	}
	first := &m.Layers[index]
	if first.Size != layer.Size {
		return fmt.Errorf("%s has %d bytes here and %d in layer %d", digest.Short(), layer.Size, first.Size, index)
	}
	if role == ingest.Weights { // takes precedence over other roles of the same file
		first.Role = role
	}
	return nil
}

// parseDigest is ingest.ParseDigest with errors of bounded length. Like Ollama, it reads digits of
// either case. It refuses the zero digest.
func parseDigest(text string) (ingest.Digest, error) {
	if len(text) > 100 {
		return ingest.Digest{}, fmt.Errorf("a digest of %d characters", len(text))
	}
	if prefix := len("sha256:"); len(text) > prefix {
		text = text[:prefix] + strings.ToLower(text[prefix:])
	}
	digest, err := ingest.ParseDigest(text)
	if err == nil && digest.IsZero() {
		return digest, errors.New("the digest is all zeros")
	}
	return digest, err
}

const imagePrefix = "application/vnd.ollama.image."

// pathAnnotations have the path of a file, in manifests of modelpack and of oras.
var pathAnnotations = []string{"org.cncf.model.filepath", "org.opencontainers.image.title"}

// roleOf returns the role of a layer. Registries other than Ollama's have their own media types.
func roleOf(layer jsonLayer) ingest.Role {
	path := ""
	for _, key := range pathAnnotations {
		path = cmp.Or(path, layer.Annotations[key])
	}
	if role := oci.Role(layer.MediaType, path); role != "" {
		return role
	}
	return roleOfType(layer.MediaType)
}

// roleOfType returns the role from a media type: the part after the prefix, without parameters.
// Anything else than a short plain word is "other".
func roleOfType(mediaType string) ingest.Role {
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
	// reserved for our own roles
	case word == string(ingest.Manifest) || word == string(ingest.Weights):
		return "other"
	case len(word) == 0 || len(word) > 32 || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "":
		return "other"
	default:
		return ingest.Role(word)
	}
}
