package layout

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/oci"
)

// descriptor is a reference to a blob, as the OCI image specification has it.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
}

func digestText(d ingest.Digest) string { return "sha256:" + d.String() }

// imageLayout returns the file that marks an OCI image layout in folder, which is empty or ends with a
// slash.
func imageLayout(folder string) Entry {
	return orPresent(folder+"oci-layout", `{"imageLayoutVersion":"1.0.0"}`)
}

// orPresent returns a file with a version. One that exists may be written in another way.
func orPresent(path, content string) Entry {
	return Entry{Path: path, Merge: func(present []byte) ([]byte, error) {
		if len(present) > 0 {
			return present, nil
		}
		return []byte(content), nil
	}}
}

// imageIndex returns the index.json of an OCI image layout with a manifest under a name. Tools find
// the manifest by a tag.
func imageIndex(folder, name string, manifest descriptor) Entry {
	return Entry{Path: folder + "index.json", Merge: func(present []byte) ([]byte, error) {
		index := map[string]json.RawMessage{"schemaVersion": json.RawMessage("2"),
			"mediaType": json.RawMessage(`"application/vnd.oci.image.index.v1+json"`)}
		var list []json.RawMessage
		if present != nil {
			if err := json.Unmarshal(present, &index); err != nil {
				return nil, fmt.Errorf("it is not an index of images: %w", err)
			}
			if err := json.Unmarshal(index["manifests"], &list); index["manifests"] != nil && err != nil {
				return nil, fmt.Errorf("it is not an index of images: %w", err)
			}
		}
		manifest.Annotations = map[string]string{oci.RefName: oci.Tag(name), oci.ModelName: name}
		list, err := addManifest(list, manifest)
		if err != nil {
			return nil, err
		}
		if index["manifests"], err = json.Marshal(list); err != nil {
			return nil, err
		}
		return json.Marshal(index)
	}}
}

// addManifest adds a manifest to the list of an index, in place of one with the same name.
func addManifest(list []json.RawMessage, manifest descriptor) ([]json.RawMessage, error) {
	tag, at := manifest.Annotations[oci.RefName], -1
	for i, text := range list {
		var d descriptor
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("manifest %d of the index: %w", i, err)
		}
		switch sameName := d.Annotations[oci.ModelName] == manifest.Annotations[oci.ModelName]; {
		case d.Annotations[oci.RefName] != tag:
		case sameName && d.Digest == manifest.Digest:
			return list, nil
		case sameName:
			at = i
		default: // another name with the same tag
			manifest.Annotations[oci.RefName] = tag + "-" + strings.TrimPrefix(manifest.Digest, "sha256:")[:8]
			return addManifest(list, manifest)
		}
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	if at >= 0 {
		list = slices.Clone(list)
		list[at] = text
		return list, nil
	}
	return append(list, text), nil
}

// runnerList returns the models.json of a store of Docker Model Runner with a model.
func runnerList(folder string, m Model, manifest *File) Entry {
	type model struct {
		ID    string   `json:"id"`
		Tags  []string `json:"tags"`
		Files []string `json:"files"`
	}
	return Entry{Path: path.Join(folder, "models.json"), Merge: func(present []byte) ([]byte, error) {
		var list struct {
			Models []model `json:"models"`
		}
		if present != nil {
			if err := json.Unmarshal(present, &list); err != nil {
				return nil, fmt.Errorf("it is not a list of models: %w", err)
			}
		}
		id, tag := digestText(manifest.Digest), m.Alias.Name
		at := slices.IndexFunc(list.Models, func(other model) bool { return other.ID == id })
		if at < 0 {
			own := model{ID: id, Tags: []string{tag}}
			for _, f := range m.Under {
				if f.Role != ingest.Manifest {
					own.Files = append(own.Files, digestText(f.Digest))
				}
			}
			list.Models = append(list.Models, own)
		} else if !slices.ContainsFunc(list.Models[at].Tags, func(t string) bool {
			return strings.TrimPrefix(t, "index.docker.io/") == tag
		}) {
			list.Models[at].Tags = append(list.Models[at].Tags, tag)
		}
		return json.Marshal(list)
	}}
}
