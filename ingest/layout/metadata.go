package layout

import (
	"encoding/json"

	"github.com/hartonomous/ingest/ingest/format/gguf"
)

// key reads a key of the model's metadata into a value.
func (m *Model) key(name string, into any) bool {
	var keys map[string]json.RawMessage
	if json.Unmarshal(m.Metadata, &keys) != nil {
		return false
	}
	return json.Unmarshal(keys[name], into) == nil
}

func (m *Model) text(name string) (text string) {
	m.key(name, &text)
	return text
}

// fileType returns the quantization of a GGUF model; empty if it does not tell it.
func (m *Model) fileType() string {
	var number int
	if !m.key("general.file_type", &number) {
		return ""
	}
	return gguf.FileType(number)
}
