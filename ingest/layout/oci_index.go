package layout

import (
	"encoding/json"
	"errors"
	"fmt"
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
// the manifest by a tag, which Merge sets.
func imageIndex(folder, name string, manifest descriptor, tag *string) Entry {
	return Entry{Path: folder + "index.json", Merge: func(present []byte) ([]byte, error) {
		index, list, err := openList(present, "manifests")
		if err != nil {
			return nil, fmt.Errorf("it is not an index of images: %w", err)
		}
		if index["schemaVersion"] == nil {
			index["schemaVersion"] = json.RawMessage("2")
			index["mediaType"] = json.RawMessage(`"application/vnd.oci.image.index.v1+json"`)
		}
		manifest.Annotations = map[string]string{oci.RefName: oci.Tag(name), oci.ModelName: name}
		if list, *tag, err = addManifest(list, manifest); err != nil {
			return nil, err
		}
		if index["manifests"], err = json.Marshal(list); err != nil {
			return nil, err
		}
		return json.Marshal(index)
	}}
}

// openList parses an object with a list of objects. What other programs have in it is kept.
func openList(present []byte, key string) (object map[string]json.RawMessage, list []json.RawMessage, err error) {
	if present == nil {
		return map[string]json.RawMessage{}, nil, nil
	}
	if err := json.Unmarshal(present, &object); err != nil {
		return nil, nil, err
	}
	if object == nil {
		return nil, nil, errors.New("want an object, not null")
	}
	if object[key] != nil {
		err = json.Unmarshal(object[key], &list)
	}
	return object, list, err
}

// addManifest adds a manifest to the list of an index, in place of one with the same name that an
// export added. It returns the list and the tag that the manifest has there.
func addManifest(list []json.RawMessage, manifest descriptor) (added []json.RawMessage, tag string, err error) {
	name, at := manifest.Annotations[oci.ModelName], -1
	tag = manifest.Annotations[oci.RefName]
	for i, text := range list {
		var d descriptor
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, "", fmt.Errorf("manifest %d of the index: %w", i, err)
		}
		switch other := d.Annotations[oci.RefName]; {
		case d.Digest == manifest.Digest && oci.NameOf(d.Annotations) == name && other != "":
			return list, other, nil
		case other != tag:
		case d.Annotations[oci.ModelName] == name:
			at = i
		default: // another name with the same tag
			manifest.Annotations[oci.RefName] = tag + "-" + strings.TrimPrefix(manifest.Digest, "sha256:")[:8]
			return addManifest(list, manifest)
		}
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return nil, "", err
	}
	if at >= 0 {
		list = slices.Clone(list)
		list[at] = text
		return list, tag, nil
	}
	return append(list, text), tag, nil
}
