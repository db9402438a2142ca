package format

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/format/header"
	"github.com/hartonomous/ingest/ingest/format/llamafile"
	"github.com/hartonomous/ingest/ingest/format/safetensors"
	"github.com/hartonomous/ingest/ingest/source"
)

// The formats, as in Models.ModelType and ModelFiles.Format.
const (
	GGUF        = "gguf"
	Safetensors = "safetensors"
	Llamafile   = "llamafile" // a program with a GGUF in it; its model is one of GGUF
	Opaque      = "opaque"    // a file of unknown format
)

// Parser opens the files of a source and reads their headers. The zero value is ready.
type Parser struct {
	// Opaque accepts an invalid file of a known format as a file of unknown format.
	Opaque bool
	// HeaderBytes is the memory limit for the headers of a model; 0 means the default of the format
	// for each.
	HeaderBytes int64
	// Part accepts a single part of a split model.
	Part bool
}

// Parse parses a source. It reads headers only. The error of a file is an *ingest.SourceError.
func (p Parser) Parse(ctx context.Context, source ingest.Source) (*ingest.Model, error) {
	m := &ingest.Model{Name: source.Name, URI: source.URI, Type: Opaque}
	var main fileHeader // of the first weights file that has one
	var parts []splitPart
	weights := 0
	for _, sf := range source.Files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		file, read, err := p.parseFile(ctx, sf)
		if errors.Is(err, errZeroed) {
			err = &ingest.SourceError{Path: sf.Path, Offset: 0, Err: fmt.Errorf("%s of %s: %w", sf.Role,
				ingest.Printable(source.Name), errZeroed)}
		}
		if err != nil {
			return nil, err
		}
		if p.HeaderBytes > 0 {
			p.HeaderBytes = max(1, p.HeaderBytes-headerBytes(&file))
		}
		m.Files = append(m.Files, file)
		if file.Role != ingest.Weights {
			continue
		}
		weights++
		if main == (fileHeader{}) {
			main = read
		}
		if read.gguf != nil {
			parts = append(parts, splitPartOf(file.Path, read.gguf))
		}
	}
	if !p.Part && len(parts) == weights { // not if a part is kept as a blob
		if err := checkParts(parts); err != nil {
			return nil, err
		}
	}
	describe(m, main)
	if err := describeRepository(ctx, m); err != nil {
		return nil, err
	}
	if m.Name == "" {
		m.Name = nameOfFile(m)
	}
	return m, nil
}

// nameOfFile returns the name of a model that has none: that of its first file, without the number of
// a part, or of the folder if such files mostly have the same name.
func nameOfFile(m *ingest.Model) string {
	path := m.Files[0].Path
	name := filepath.Base(path)
	if set, _, ok := parseSplit(name); ok {
		name = set.name + set.extension
	}
	if folder := filepath.Base(filepath.Dir(path)); isGeneric(name) && isName(folder) {
		return folder
	}
	return name
}

// isName reports whether the name of a folder is not only a separator or a dot.
func isName(folder string) bool { return strings.Trim(folder, `./\`) != "" }

// errZeroed is for a small file that a power cut left without its content.
var errZeroed = errors.New("the file starts with zeros: fetch it again")

// fileHeader is the header of a file in its format. It is empty for an opaque file.
type fileHeader struct {
	gguf        *gguf.File
	safetensors *safetensors.File
	program     llamafile.Weights // where gguf is in a llamafile
}

// parseFile opens a file and reads its header, if it has a known format.
func (p Parser) parseFile(ctx context.Context, sf ingest.SourceFile) (ingest.File, fileHeader, error) {
	refuse := func(err error) (ingest.File, fileHeader, error) {
		return ingest.File{}, fileHeader{}, &ingest.SourceError{Path: sf.Path, Offset: -1, Err: err}
	}
	opened, err := source.Open(sf.Path, sf.Root)
	if err != nil {
		return refuse(err)
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		return refuse(err)
	}
	file := ingest.File{Path: sf.Path, Name: sf.Name, Root: sf.Root, Role: sf.Role, Format: Opaque, Bytes: info.Size(),
		Modified: info.ModTime(), Expected: sf.Expected, ExpectedBytes: sf.ExpectedBytes}
	if sf.ExpectedBytes >= 0 && sf.ExpectedBytes != file.Bytes {
		return refuse(fmt.Errorf("it has %d bytes, but its manifest says %d: fetch it again", file.Bytes,
			sf.ExpectedBytes))
	}
	first, err := head(opened)
	if err != nil {
		return refuse(err)
	}
	isZero := bytes.Count(first, []byte{0}) == len(first)
	if isZero && len(first) > 0 && sf.Role != ingest.Weights && !sf.Expected.IsZero() {
		return refuse(errZeroed)
	}
	if isLostLink(sf.Path, first, file.Bytes) {
		return refuse(errLinkText)
	}
	format := p.formatOf(first, sf.Path)
	read, err := p.readHeader(contextReader{ctx, opened}, sf.Path, file.Bytes, format)
	switch {
	case err == nil:
		file.Format = format
		addTensors(&file, read)
		return file, read, nil
	case isInvalid(err) && p.Opaque:
		file.Warnings = append(file.Warnings, fmt.Sprintf("kept as a blob: %v", err))
		return file, fileHeader{}, nil
	case isInvalid(err):
		err = fmt.Errorf("%w (`ingest models --opaque` keeps it as a blob)", err)
	}
	return refuse(fmt.Errorf("refused as a %s file: %w", formatNames[format], err))
}

// formatOf returns the format of a file by its first bytes, or else, so that a damaged file is
// refused, by its name.
func (p Parser) formatOf(first []byte, path string) string {
	switch extension := strings.ToLower(filepath.Ext(path)); {
	case gguf.Sniff(first):
		return GGUF
	case safetensors.Sniff(first):
		return Safetensors
	case llamafile.IsName(path):
		return Llamafile
	case p.Opaque:
		return Opaque
	case extension == ".gguf":
		return GGUF
	case extension == ".safetensors":
		return Safetensors
	}
	return Opaque
}

// formatNames are the names of formats in messages.
var formatNames = map[string]string{GGUF: "GGUF", Safetensors: "safetensors", Llamafile: "llamafile"}

// readHeader reads the header of the file at path, which has size bytes.
func (p Parser) readHeader(src io.ReaderAt, path string, size int64, format string) (h fileHeader, err error) {
	switch format {
	case GGUF:
		h.gguf, err = gguf.Limits{Name: path, Memory: p.HeaderBytes}.Parse(src, size)
	case Safetensors:
		h.safetensors, err = safetensors.Limits{Memory: p.HeaderBytes}.Parse(src, size)
	case Llamafile:
		if h.program, err = llamafile.Find(src, size); err == nil {
			within := io.NewSectionReader(src, h.program.Offset, h.program.Size)
			h.gguf, err = gguf.Limits{Memory: p.HeaderBytes}.Parse(within, h.program.Size)
		}
	}
	return h, err
}

// isInvalid reports whether the file is invalid. Otherwise, err is a read error or a memory limit.
func isInvalid(err error) bool {
	var e *header.Error
	return errors.As(err, &e) && e.Err == nil
}

// headerBytes estimates the memory of a file's tensors.
func headerBytes(file *ingest.File) int64 {
	n := int64(0)
	for i := range file.Tensors {
		t := &file.Tensors[i]
		n += int64(len(t.Name))
		switch file.Format {
		case GGUF, Llamafile:
			n += gguf.TensorBytes
		case Safetensors:
			n += safetensors.TensorBytes + 8*int64(len(t.Shape))
		}
	}
	return n
}

// contextReader fails when ctx has ended.
type contextReader struct {
	ctx    context.Context
	source io.ReaderAt
}

func (s contextReader) ReadAt(p []byte, offset int64) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.source.ReadAt(p, offset)
}

// head returns the first bytes of a file.
func head(file *os.File) ([]byte, error) {
	first := make([]byte, sniffBytes)
	n, err := file.ReadAt(first, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return first[:n], nil
}
