// Package oci reads the lists of models in two layouts of blobs that are named by their digests: the
// OCI image layout, and the store of Docker Model Runner. Package format reads the folders.
//
//	<layout>/oci-layout, index.json                  an OCI image layout
//	<store>/models.json, layout.json                 a store of Docker Model Runner
//	<store>/manifests/sha256/<64 hexadecimal digits>
//	.../blobs/sha256/<64 hexadecimal digits>
//
// The first follows image-layout.md of github.com/opencontainers/image-spec, with the artifacts of
// github.com/modelpack/model-spec; the second follows pkg/distribution/internal/store of
// github.com/docker/model-runner. The lists are not trusted: only digests become parts of paths.
package oci

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// MaxListBytes limits the size of a list of models.
const MaxListBytes = 16 << 20

// Descriptor is a reference to a blob.
type Descriptor struct {
	Digest ingest.Digest
	// Index is set if the blob is a list itself.
	Index bool
	// Name of the model; empty if the list gives none.
	Name string
}

// The annotations of a manifest in an index that name the model.
const (
	RefName = "org.opencontainers.image.ref.name" // the tag
	// ModelName is a name that need not be a valid reference. It counts while the manifest has its tag.
	ModelName = "com.github.hartonomous.ingest.name"
	fullName  = "io.containerd.image.name" // of containerd and Docker
)

var notInTag = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// Tag returns the tag for the name of a model: llama3-latest for llama3:latest. A tag has no slashes
// and no colons.
func Tag(name string) string {
	tag := strings.TrimLeft(notInTag.ReplaceAllString(name, "-"), ".-")
	if tag == "" {
		return "model"
	}
	return tag[:min(len(tag), 100)]
}

// NameOf returns the name of a model from the annotations of its manifest.
func NameOf(annotations map[string]string) string {
	if name := annotations[ModelName]; name != "" && strings.HasPrefix(annotations[RefName], Tag(name)) {
		return name
	}
	return cmp.Or(annotations[fullName], annotations[RefName])
}

// ParseIndex returns the manifests of an index.json, or of an index in a blob.
func ParseIndex(text []byte) (list []Descriptor, err error) {
	var raw struct {
		Manifests []struct {
			MediaType   string            `json:"mediaType"`
			Digest      string            `json:"digest"`
			Annotations map[string]string `json:"annotations"`
		} `json:"manifests"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	for i, m := range raw.Manifests {
		d := Descriptor{Name: NameOf(m.Annotations),
			Index: strings.Contains(m.MediaType, ".index.") || strings.Contains(m.MediaType, "manifest.list")}
		if d.Digest, err = parseDigest(m.Digest); err != nil {
			return nil, fmt.Errorf("index: manifest %d: %w", i, err)
		}
		list = append(list, d)
	}
	return list, nil
}

// ParseModels returns the models of a models.json, once for each of their tags.
func ParseModels(text []byte) (list []Descriptor, err error) {
	var raw struct {
		Models []struct {
			ID   string   `json:"id"`
			Tags []string `json:"tags"`
		} `json:"models"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("list of models: %w", err)
	}
	for i, m := range raw.Models {
		var d Descriptor
		if d.Digest, err = parseDigest(m.ID); err != nil {
			return nil, fmt.Errorf("list of models: model %d: %w", i, err)
		}
		if len(m.Tags) == 0 {
			m.Tags = []string{""}
		}
		for _, tag := range m.Tags {
			d.Name = strings.TrimPrefix(tag, "index.docker.io/")
			list = append(list, d)
		}
	}
	return list, nil
}

// parseDigest is ingest.ParseDigest with errors of bounded length.
func parseDigest(text string) (ingest.Digest, error) {
	if len(text) > 100 {
		return ingest.Digest{}, fmt.Errorf("a digest of %d characters", len(text))
	}
	return ingest.ParseDigest(text)
}

// Role returns the role of a file from its media type and name in a manifest; empty if they do not
// tell it.
func Role(mediaType, file string) ingest.Role {
	for _, known := range [...]struct {
		prefix string
		role   ingest.Role
	}{
		{"application/vnd.docker.ai.gguf.", ingest.Weights},
		{"application/vnd.docker.ai.safetensors", ingest.Weights},
		{"application/vnd.docker.ai.mmproj", ingest.Projector},
		{"application/vnd.docker.ai.license", ingest.License},
		{"application/vnd.docker.ai.chat.template", ingest.Template},
		{"application/vnd.docker.ai.", ingest.Config},
		{"application/vnd.cncf.model.weight.config.", ingest.Config},
		{"application/vnd.cncf.model.weight.", ingest.Weights},
		{"application/vnd.cncf.model.doc.", "readme"},
	} {
		if strings.HasPrefix(mediaType, known.prefix) {
			if known.role == ingest.Weights && isProjector(file) {
				return ingest.Projector
			}
			return known.role
		}
	}
	for _, extension := range []string{".gguf", ".safetensors"} { // pushed as a file, for example by oras
		if strings.HasSuffix(strings.ToLower(file), extension) {
			return ingest.Weights
		}
	}
	return ""
}

// isProjector reports whether a file has the name that llama.cpp gives a projector. ModelPack has no
// media type for it.
func isProjector(file string) bool {
	name := strings.ToLower(path.Base(file))
	return strings.Contains(name, "mmproj") && strings.HasSuffix(name, ".gguf")
}

// URI returns the URI of a model with this name in a registry.
func URI(name string) string { return "oci://" + name }
