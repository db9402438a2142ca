package sqlcatalog

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/hartonomous/ingest/ingest"
)

// jobMetadata is the content of IngestionJobs.Metadata.
type jobMetadata struct {
	Paths    []string
	Options  map[string]string
	Problems []ingest.Problem
	// Succeeded is the count of the last run.
	Succeeded int64
	Saved     int64 // bytes, by all runs of the job
}

// encode returns the metadata as JSON.
func (m jobMetadata) encode() string {
	w := jobMetadataJSON{Options: make(map[string]exact, len(m.Options)), Succeeded: m.Succeeded,
		Saved: m.Saved}
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

// parseJobMetadata reads what encode wrote. An empty text, as in a job of another program, is empty
// metadata.
func parseJobMetadata(text string) (jobMetadata, error) {
	var m jobMetadata
	var w jobMetadataJSON
	if text == "" {
		return m, nil
	}
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return m, err
	}
	m.Succeeded, m.Saved = w.Succeeded, w.Saved
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

// update applies a request. Its paths and options replace those of the run before; a resume by
// number has none.
func (m *jobMetadata) update(request ingest.JobRequest) {
	if request.Paths != nil {
		m.Paths = request.Paths
	}
	if request.Options != nil {
		m.Options = request.Options
	}
}

type jobMetadataJSON struct {
	Paths     []exact          `json:"paths,omitempty"`
	Options   map[string]exact `json:"options,omitempty"`
	Problems  []problem        `json:"problems,omitempty"`
	Succeeded int64            `json:"succeeded,omitempty"`
	Saved     int64            `json:"bytes_saved,omitempty"`
}

type problem struct {
	Path   exact `json:"path"`
	Reason exact `json:"reason"`
}

// exact is a string that survives JSON unchanged. A path need not be UTF-8, and encoding/json would
// replace invalid bytes: such a string is written as {"base64": "..."}.
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
