package format

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/huggingface"
	"github.com/hartonomous/ingest/ingest/source"
)

// describeRepository sets the fields of m from its config.json, and compares its tensors with its
// index. Only safetensors have these files.
func describeRepository(ctx context.Context, m *ingest.Model) error {
	if m.Type != Safetensors {
		return nil
	}
	for i := range m.Files {
		f := &m.Files[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		switch {
		case f.Role == ingest.Config && filepath.Base(f.Path) == "config.json":
			err = describeConfig(m, f)
		case f.Role == roleIndex && hasExtension(strings.TrimSuffix(f.Path, ".index.json"), ".safetensors"):
			err = checkIndex(ctx, m, f)
		}
		if err != nil {
			return &ingest.SourceError{Path: f.Path, Offset: -1, Err: err}
		}
	}
	return nil
}

// maxConfigBytes limits the size of a config.json that is read. Real ones have up to 100 KB.
const maxConfigBytes = 1 << 20

// describeConfig reads what transformers calls the configuration. One that cannot be used is a
// warning: it is stored all the same.
func describeConfig(m *ingest.Model, f *ingest.File) error {
	text, err := readSmall(place{path: f.Path, root: f.Root}, maxConfigBytes)
	var c struct {
		ModelType     string   `json:"model_type"`
		Architectures []string `json:"architectures"`
		Context       int64    `json:"max_position_embeddings"`
		Hidden        int64    `json:"hidden_size"`
	}
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		f.Warnings = append(f.Warnings, fmt.Sprintf("not used: %v", err))
		return nil
	}
	if c.ModelType == "" && len(c.Architectures) > 0 {
		c.ModelType = c.Architectures[0]
	}
	m.Architecture = cmp.Or(m.Architecture, c.ModelType)
	m.Details.ContextLength = cmp.Or(m.Details.ContextLength, max(0, c.Context))
	m.Details.EmbeddingLength = cmp.Or(m.Details.EmbeddingLength, max(0, c.Hidden))
	return nil
}

// tensorAt is the position of a tensor in a model.
type tensorAt struct{ file, tensor int32 }

// mostNamed is the number of tensors that a warning names.
const mostNamed = 5

// checkIndex warns of tensors that an index names and that are not where it says. Tied tensors are
// often not stored, so the model is not refused.
func checkIndex(ctx context.Context, m *ingest.Model, f *ingest.File) error {
	var all []tensorAt
	for i := range m.Files {
		if m.Files[i].Role == ingest.Weights {
			for j := range m.Files[i].Tensors {
				all = append(all, tensorAt{int32(i), int32(j)})
			}
		}
	}
	name := func(at tensorAt) string { return m.Files[at.file].Tensors[at.tensor].Name }
	slices.SortFunc(all, func(a, b tensorAt) int { return cmp.Compare(name(a), name(b)) })
	var missing, elsewhere named
	file, err := source.Open(f.Path, f.Root)
	if err != nil {
		return err
	}
	defer file.Close()
	err = huggingface.Index(bufio.NewReader(file), func(tensor, shard string) error {
		i, found := slices.BinarySearchFunc(all, tensor, func(at tensorAt, tensor string) int {
			return cmp.Compare(name(at), tensor)
		})
		switch {
		case !found:
			missing.add(tensor)
		case filepath.Base(m.Files[all[i].file].Path) != shard:
			elsewhere.add(tensor)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	missing.warn(f, "no file has %s that it names (tied ones are often in none)")
	elsewhere.warn(f, "another file than it says has %s")
	return nil
}

// named counts tensors, and keeps the first names.
type named struct {
	count int
	first []string
}

func (n *named) add(name string) {
	if n.count++; n.count <= mostNamed {
		n.first = append(n.first, ingest.Printable(name[:min(200, len(name))]))
	}
}

// warn adds a warning. what has a place for the number of tensors.
func (n *named) warn(f *ingest.File, what string) {
	if n.count == 0 {
		return
	}
	text := fmt.Sprintf(what+": %s", counted(int64(n.count), "tensor"), strings.Join(n.first, ", "))
	if more := n.count - len(n.first); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	f.Warnings = append(f.Warnings, text)
}

// counted returns a number with its noun: 1 tensor, 2 tensors.
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
