package format

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/gguf"
)

// describe fills in what the header of a model's weights says of it.
func describe(m *ingest.Model, header *gguf.File) {
	if header == nil {
		return
	}
	m.Type = GGUF
	m.Architecture, _ = header.String("general.architecture")
	if name, _ := header.String("general.name"); m.Name == "" {
		m.Name = name
	}
	m.Metadata = metadata(header)
	context, _ := header.Uint(m.Architecture + ".context_length")
	embedding, _ := header.Uint(m.Architecture + ".embedding_length")
	m.Details.ContextLength, m.Details.EmbeddingLength = fitting(context), fitting(embedding)
	m.Details.License, _ = header.String("general.license")
	for _, key := range []string{"general.source.url", "general.url", "general.repo_url"} {
		if m.Details.SourceURL == "" {
			m.Details.SourceURL, _ = header.String(key)
		}
	}
}

// fitting is n, or 0 for a number that no column holds.
func fitting(n uint64) int64 {
	if n > math.MaxInt64 {
		return 0
	}
	return int64(n)
}

// maxMetadata bounds the JSON of a header's keys, which a stranger can make long.
const maxMetadata = 1 << 20

// metadata writes the header's keys as one JSON object, in file order. Keys beyond
// maxMetadata bytes are left out and counted.
func metadata(header *gguf.File) json.RawMessage {
	text := []byte{'{'}
	for i, kv := range header.Metadata {
		if len(text) > maxMetadata {
			text = fmt.Appendf(text, `,"(left out)":%d`, len(header.Metadata)-i)
			break
		}
		if i > 0 {
			text = append(text, ',')
		}
		key, _ := json.Marshal(kv.Key)       // a string can be marshalled
		value, err := json.Marshal(kv.Value) // Value's own method does not fail
		if err != nil {
			value = fmt.Appendf(nil, "%q", err.Error())
		}
		text = append(append(append(text, key...), ':'), value...)
	}
	return append(text, '}')
}

// shard is what the header of one part of a split model says of the whole.
type shard struct {
	path                string
	number, count       uint64
	tensors, tensorsAll uint64
}

func shardOf(path string, header *gguf.File) shard {
	s := shard{path: path, tensors: uint64(len(header.Tensors))}
	s.number, _ = header.Uint("split.no")
	s.count, _ = header.Uint("split.count")
	s.tensorsAll, _ = header.Uint("split.tensors.count")
	return s
}

// checkParts refuses a split model of which a part is missing, or in the wrong place. all
// is false where some of the files have no header, being kept as blobs: then there is no telling.
func checkParts(parts []shard, all bool) error {
	if len(parts) == 0 || !all {
		return nil
	}
	whole, tensors := parts[0], uint64(0)
	refuse := func(s shard, format string, args ...any) error {
		return &ingest.SourceError{Path: s.path, Offset: -1, Err: fmt.Errorf(format, args...)}
	}
	if whole.count <= 1 { // several weights of a manifest that are no split
		return nil
	}
	if int(whole.count) != len(parts) {
		return refuse(whole, "split.count says that the model has %d parts, and here are %d: put all parts beside "+
			"each other", whole.count, len(parts))
	}
	for i, s := range parts {
		if s.count != whole.count || s.number != uint64(i) {
			return refuse(s, "it is part %d of %d by its own keys, where part %d of %d belongs", s.number+1, s.count,
				i+1, whole.count)
		}
		tensors += s.tensors
	}
	if whole.tensorsAll != 0 && whole.tensorsAll != tensors {
		return refuse(whole, "split.tensors.count says %d tensors, and the parts hold %d", whole.tensorsAll, tensors)
	}
	return nil
}
