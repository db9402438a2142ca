package layout

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// runnerModel is a model in the models.json of Docker Model Runner.
type runnerModel struct {
	ID    string   `json:"id"`
	Tags  []string `json:"tags"`
	Files []string `json:"files"`
}

// runnerList returns the models.json of a store of Docker Model Runner with a model.
func runnerList(folder string, m Model, manifest *File) Entry {
	own := runnerModel{ID: digestText(manifest.Digest), Tags: []string{m.Alias.Name}}
	for _, f := range m.Under {
		if f.Role != ingest.Manifest {
			own.Files = append(own.Files, digestText(f.Digest))
		}
	}
	return Entry{Path: path.Join(folder, "models.json"), Merge: func(present []byte) ([]byte, error) {
		object, list, err := openList(present, "models")
		if err != nil {
			return nil, fmt.Errorf("it is not a list of models: %w", err)
		}
		if list, err = addModel(list, own); err != nil || list == nil {
			return present, err
		}
		if object["models"], err = json.Marshal(list); err != nil {
			return nil, err
		}
		return json.Marshal(object)
	}}
}

// addModel adds a model with one tag to the list, or its tag to the model that is there. It returns nil
// if there is nothing to add.
func addModel(list []json.RawMessage, own runnerModel) ([]json.RawMessage, error) {
	for i, text := range list {
		var other runnerModel
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(text, &other); err != nil {
			return nil, fmt.Errorf("model %d of the list: %w", i, err)
		}
		if other.ID != own.ID {
			continue
		}
		if slices.ContainsFunc(other.Tags, func(tag string) bool {
			return strings.TrimPrefix(tag, "index.docker.io/") == own.Tags[0]
		}) {
			return nil, nil
		}
		err := json.Unmarshal(text, &fields)
		if err == nil {
			fields["tags"], err = json.Marshal(append(other.Tags, own.Tags...))
		}
		if err == nil {
			list[i], err = json.Marshal(fields)
		}
		return list, err
	}
	text, err := json.Marshal(own)
	return append(list, text), err
}
