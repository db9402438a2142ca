package ingest

// Role says what a file is to its model.
type Role string

// The roles of a model's files. Those of an Ollama manifest keep the last part
// of their media type (application/vnd.ollama.image.<role>), so a role that is
// not listed here is possible and harmless.
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

// Source is one model as it lies on disk, found by its names alone: no byte of
// its large files has been read.
type Source struct {
	// Name is "llama3:latest" for a manifest; empty where the content or the
	// file's name has to say it.
	Name string
	// URI is where it came from: "ollama://llama3:latest" or "file:///...".
	URI string
	// Files in the model's own order; the weights come first.
	Files []SourceFile
}

// SourceFile is one file of a Source.
type SourceFile struct {
	Path string // absolute, cleaned
	// Root is the real path of the given folder that holds the file; links in Path do not lead out of it
	// when the file is
	// opened (see package source). If it is empty, Path may be a link to any file.
	Root string
	Role Role
	// Expected is the digest that the file's name or its manifest promises; zero for none.
	Expected Digest
	// ExpectedBytes is the size that a manifest promises; negative for none.
	ExpectedBytes int64
}

// Found is what a search of the given paths yields.
type Found struct {
	Sources []Source
	// Skipped are files left out on purpose, such as unfinished downloads.
	Skipped []Note
	// Refused are files and folders that should have been taken in and cannot be.
	Refused []Note
}

// Note says of one path why it was skipped or refused.
type Note struct {
	Path   string
	Reason error
}
