package format

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/gguf"
)

// describe sets the fields of m from the header of its weights.
func describe(m *ingest.Model, h fileHeader) {
	if h.gguf != nil {
		describeGGUF(m, h.gguf)
	}
	if h.safetensors != nil {
		pairs := h.safetensors.Metadata
		m.Type = Safetensors
		m.Metadata = metadata(len(pairs), func(i int) (string, any) { return pairs[i].Key, pairs[i].Value })
	}
}

func describeGGUF(m *ingest.Model, header *gguf.File) {
	m.Type = GGUF
	m.Architecture, _ = header.String("general.architecture")
	if name, _ := header.String("general.name"); m.Name == "" && strings.ContainsFunc(name, isWord) {
		m.Name = name // else that of its file
	}
	pairs := header.Metadata
	m.Metadata = metadata(len(pairs), func(i int) (string, any) { return pairs[i].Key, pairs[i].Value })
	context, _ := header.Uint(m.Architecture + ".context_length")
	embedding, _ := header.Uint(m.Architecture + ".embedding_length")
	m.Details.ContextLength, m.Details.EmbeddingLength = toInt64(context), toInt64(embedding)
	m.Details.License, _ = header.String("general.license")
	for _, key := range []string{"general.source.url", "general.url", "general.repo_url"} {
		if m.Details.SourceURL == "" {
			m.Details.SourceURL, _ = header.String(key)
		}
	}
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// toInt64 returns n, or 0 if it does not fit a column.
func toInt64(n uint64) int64 {
	if n > math.MaxInt64 {
		return 0
	}
	return int64(n)
}

// maxMetadata limits the JSON of a header's keys, in bytes.
const maxMetadata = 1 << 20

// metadata returns the n keys of a header as a JSON object, in file order. It counts and omits the
// keys after maxMetadata bytes.
func metadata(n int, pair func(i int) (key string, value any)) json.RawMessage {
	text := []byte{'{'}
	for i := range n {
		if len(text) > maxMetadata {
			text = fmt.Appendf(text, `,"(left out)":%d`, n-i)
			break
		}
		name, content := pair(i)
		if i > 0 {
			text = append(text, ',')
		}
		key, _ := json.Marshal(name) // never fails for a string
		value, err := json.Marshal(content)
		if err != nil {
			value = fmt.Appendf(nil, "%q", err.Error())
		}
		text = append(append(append(text, key...), ':'), value...)
	}
	return append(text, '}')
}

// splitPart has the keys of one part of a split model.
type splitPart struct {
	path                string
	number, count       uint64
	tensors, tensorsAll uint64
}

func splitPartOf(path string, header *gguf.File) splitPart {
	s := splitPart{path: path, tensors: uint64(len(header.Tensors))}
	s.number, _ = header.Uint("split.no")
	s.count, _ = header.Uint("split.count")
	s.tensorsAll, _ = header.Uint("split.tensors.count")
	return s
}

// checkParts refuses a split model with missing or misplaced parts.
func checkParts(parts []splitPart) error {
	if len(parts) == 0 {
		return nil
	}
	whole, tensors := parts[0], uint64(0)
	refuse := func(s splitPart, format string, args ...any) error {
		return &ingest.SourceError{Path: s.path, Offset: -1, Err: fmt.Errorf(format, args...)}
	}
	if whole.count <= 1 { // several weights of a manifest, not a split model
		return nil
	}
	if int(whole.count) != len(parts) {
		return refuse(whole, "split.count is %d, but the number of parts is %d: put all into one folder",
			whole.count, len(parts))
	}
	for i, s := range parts {
		if s.count != whole.count || s.number != uint64(i) {
			return refuse(s, "its keys say part %d of %d, want part %d of %d", s.number+1, s.count, i+1, whole.count)
		}
		tensors += s.tensors
	}
	if whole.tensorsAll != 0 && whole.tensorsAll != tensors {
		return refuse(whole, "split.tensors.count is %d, but the parts have %s", whole.tensorsAll,
			counted(int64(tensors), "tensor"))
	}
	return nil
}
