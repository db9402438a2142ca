package sqlcatalog

import (
	"strings"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// The values of Atoms.Modality and Atoms.SourceType.
const (
	modality      = "model"
	segmentSource = "ingest_segment" // a segment
	fileSource    = "model_file"     // a whole file
	ollamaSource  = "ollama_blob"    // a file of an Ollama store
)

// fileAtomRow holds the descriptive columns of a whole file's row in Atoms.
type fileAtomRow struct {
	Subtype        string // empty for NULL
	SourceURI      string
	SourceType     string
	PayloadLocator string
	Metadata       string // JSON
}

// newFileAtom describes a file of the model called name.
func newFileAtom(name ingest.Alias, file *ingest.StoredFile, now time.Time) fileAtomRow {
	atom, meta := describeFile(name, file, now)
	atom.Metadata = mustJSON(meta)
	return atom
}

// newRegisteredAtom describes a registered file.
func newRegisteredAtom(name ingest.Alias, file ingest.StoredFile, content ingest.FileContent,
	now time.Time) fileAtomRow {
	file.Path, file.Digest = content.Locator, content.Digest
	atom, meta := describeFile(name, &file, now)
	meta.OnDemand = true
	if content.Trusted {
		meta.Computed = new(bool)
	}
	atom.Metadata = mustJSON(meta)
	return atom
}

// describeFile returns the row without its metadata, and the metadata.
func describeFile(name ingest.Alias, file *ingest.StoredFile, now time.Time) (fileAtomRow, fileMetadata) {
	atom := fileAtomRow{SourceURI: name.URI, SourceType: fileSource, PayloadLocator: file.Path}
	meta := fileMetadata{
		Name: name.Name, Bytes: file.Bytes, Path: file.Path, Registered: now.UTC().Format(time.RFC3339),
		Gigabytes: float64(file.Bytes*100/1_000_000_000) / 100,
	}
	if strings.HasPrefix(name.URI, "ollama://") {
		atom.SourceType = ollamaSource
		meta.Ollama = "sha256:" + file.Digest.String()
	}
	if file.Role == ingest.Weights && file.Tensors > 0 {
		atom.Subtype = "llm"
	}
	return atom, meta
}

// fileMetadata is the JSON in Atoms.Metadata. Other programs read these keys.
type fileMetadata struct {
	Name       string  `json:"model_name"`
	Bytes      int64   `json:"size_bytes"`
	Gigabytes  float64 `json:"size_gb"`
	Path       string  `json:"file_path"`
	Ollama     string  `json:"ollama_digest,omitempty"`
	Registered string  `json:"registered_at"`
	OnDemand   bool    `json:"load_on_demand,omitempty"`
	Computed   *bool   `json:"digest_computed,omitempty"` // nil means true
}
