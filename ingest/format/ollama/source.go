package ollama

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// Lookup returns Path and Root of a blob. With an error, Path is where the blob should be; the
// error is fs.ErrNotExist, wrapped, if it does not exist.
type Lookup func(digest ingest.Digest) (ingest.SourceFile, error)

// ErrNoWeights: a manifest names no weights, or they are missing.
var ErrNoWeights = errors.New("the model's weights are missing")

// Source returns the source of a manifest, whose own file has the Path and Root of own. Weights
// come first, the manifest last. Each missing blob has a note. If weights are missing, the error is
// ErrNoWeights, wrapped; without notes, the manifest names none. Other missing blobs are left out.
func (m *Manifest) Source(name string, own ingest.SourceFile, lookup Lookup) (ingest.Source, []ingest.Note, error) {
	layers := slices.Clone(m.Layers)
	slices.SortStableFunc(layers, func(a, b Layer) int { return rank(a.Role) - rank(b.Role) })
	if len(layers) == 0 || layers[0].Role != ingest.Weights {
		return ingest.Source{}, nil, fmt.Errorf("%s: %w: the manifest names none", name, ErrNoWeights)
	}
	source := ingest.Source{Name: name, URI: URI(name)}
	var missing []ingest.Note
	var noWeights error
	for _, layer := range layers {
		blob, err := lookup(layer.Digest)
		if err == nil {
			blob.Role, blob.Expected, blob.ExpectedBytes = layer.Role, layer.Digest, layer.Size
			source.Files = append(source.Files, blob)
			continue
		}
		reason := fmt.Errorf("%s: %w", name, missingBlob(layer, err))
		if layer.Role == ingest.Weights {
			reason = fmt.Errorf("%s: %w: %w", name, ErrNoWeights, missingBlob(layer, err))
			noWeights = errors.Join(noWeights, reason)
		}
		missing = append(missing, ingest.Note{Path: blob.Path, Reason: reason})
	}
	if noWeights != nil {
		return ingest.Source{}, missing, noWeights
	}
	own.Role, own.ExpectedBytes = ingest.Manifest, -1
	source.Files = append(source.Files, own)
	return source, missing, nil
}

// missingBlob returns the error for a blob that is missing or cannot be used.
func missingBlob(layer Layer, err error) error {
	blob := fmt.Sprintf("%s blob %s named by the manifest", layer.Role, BlobNames(layer.Digest)[0])
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing", blob)
	}
	return fmt.Errorf("%s: %w", blob, err)
}

// rank orders the files of a model: weights, then projectors and adapters, then the rest.
func rank(role ingest.Role) int {
	switch role {
	case ingest.Weights:
		return 0
	case ingest.Projector, ingest.Adapter:
		return 1
	default:
		return 2
	}
}
