package sqlcatalog

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/hartonomous/ingest/ingest"
)

// jobMetadata is what IngestionJobs.Metadata holds.
type jobMetadata struct {
	Paths    []string
	Options  map[string]string
	Problems []ingest.Problem
}

// encode returns the metadata as JSON.
func (m jobMetadata) encode() string {
	w := jobMetadataJSON{Options: make(map[string]exact, len(m.Options))}
	for _, path := range m.Paths {
		w.Paths = append(w.Paths, exact(path))
	}
	for key, value := range m.Options {
		w.Options[key] = exact(value)
	}
	for _, p := range m.Problems {
		w.Problems = append(w.Problems, problem{exact(p.Path), exact(p.Reason)})
	}
	return mustJSON(w)
}

// parseJobMetadata reads what Encode wrote. Empty text, as a job of another
// program may have, is no metadata.
func parseJobMetadata(text string) (jobMetadata, error) {
	var m jobMetadata
	var w jobMetadataJSON
	if text == "" {
		return m, nil
	}
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return m, err
	}
	for _, path := range w.Paths {
		m.Paths = append(m.Paths, string(path))
	}
	if len(w.Options) > 0 {
		m.Options = make(map[string]string, len(w.Options))
	}
	for key, value := range w.Options {
		m.Options[key] = string(value)
	}
	for _, p := range w.Problems {
		m.Problems = append(m.Problems, ingest.Problem{Path: string(p.Path), Reason: string(p.Reason)})
	}
	return m, nil
}

// update takes up claim. What it says of paths and options replaces what an earlier run
// said; a resume by number says nothing.
func (m *jobMetadata) update(claim ingest.JobRequest) {
	if claim.Paths != nil {
		m.Paths = claim.Paths
	}
	if claim.Options != nil {
		m.Options = claim.Options
	}
}

type jobMetadataJSON struct {
	Paths    []exact          `json:"paths,omitempty"`
	Options  map[string]exact `json:"options,omitempty"`
	Problems []problem        `json:"problems,omitempty"`
}

type problem struct {
	Path   exact `json:"path"`
	Reason exact `json:"reason"`
}

// exact is a string that comes back from JSON as it went in. A path need not be
// UTF-8, and encoding/json would replace what is not: such a string is written
// as {"base64": "..."}.
type exact string

type exactBytes struct {
	Bytes []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (e exact) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(e)) {
		return json.Marshal(string(e))
	}
	return json.Marshal(exactBytes{[]byte(e)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *exact) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '{' {
		var b exactBytes
		err := json.Unmarshal(text, &b)
		*e = exact(b.Bytes)
		return err
	}
	return json.Unmarshal(text, (*string)(e))
}
