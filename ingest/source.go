package ingest

// Role is the role of a file in its model.
type Role string

// The roles of a model's files. A file of an Ollama manifest has the last part of its media type
// (application/vnd.ollama.image.<role>), so other roles are possible and harmless.
const (
	Weights   Role = "weights" // tensors of the model itself
	Projector Role = "projector"
	Adapter   Role = "adapter"
	Template  Role = "template"
	Params    Role = "params"
	License   Role = "license"
	Config    Role = "config"
	Manifest  Role = "manifest"
)

// Source is one model on disk, found by file names. Its large files have not been read.
type Source struct {
	// Name is "llama3:latest" for a manifest; empty if the parser has to find it.
	Name string
	// URI is its origin: "ollama://llama3:latest" or "file:///...".
	URI string
	// Files are in the model's own order; the weights come first.
	Files []SourceFile
}

// SourceFile is one file of a Source.
type SourceFile struct {
	Path string // absolute, cleaned
	// Name is the path of the file relative to the given folder or, if a part of a layout was given, to
	// the root of the layout, with slashes. It is the last element of Path if the file was given. If it
	// is empty, the layout is not known.
	Name string
	// Root is the real path of the given folder that contains the file. Package source refuses
	// links in Path that lead out of it. If Root is empty, Path may be a link to any file.
	Root string
	Role Role
	// Expected is the digest from the file's name or its manifest; zero if unknown.
	Expected Digest
	// ExpectedBytes is the size from the manifest; negative if unknown.
	ExpectedBytes int64
}

// Found is the result of a search.
type Found struct {
	Sources []Source
	// Skipped are files left out on purpose, such as unfinished downloads.
	Skipped []Note
	// Refused are files and folders that cannot be ingested.
	Refused []Note
}

// Note says why a path was skipped or refused.
type Note struct {
	Path   string
	Reason error
}

// Problem returns the note as a job records it. The reason does not repeat the path.
func (n Note) Problem() Problem {
	if of, ok := n.Reason.(*SourceError); ok && of.Path == n.Path {
		return Problem{Path: n.Path, Reason: of.reason()}
	}
	return Problem{Path: n.Path, Reason: n.Reason.Error()}
}
