package format

import (
	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/ollama"
)

// source returns the model as a source. Its weights come first.
func (m model) source() ingest.Source {
	s := ingest.Source{Name: m.name, URI: m.uri}
	if s.URI == "" {
		s.URI = fileURI(m.weights[0].path)
		if m.name != "" {
			s.URI = ollama.URI(m.name)
		}
	}
	for _, at := range m.weights {
		s.Files = append(s.Files, sourceFile(at, ingest.Weights))
	}
	for _, other := range m.others {
		s.Files = append(s.Files, sourceFile(other.place, other.role))
	}
	return s
}

// sourceFile returns a file that no manifest names.
func sourceFile(at place, role ingest.Role) ingest.SourceFile {
	return ingest.SourceFile{Path: at.path, Root: at.root, Role: role, Expected: at.claim, ExpectedBytes: -1}
}
