package format

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format/gguf"
	"github.com/hartonomous/ingest/ingest/source"
)

// The formats, as in Models.ModelType and ModelFiles.Format.
const (
	GGUF   = "gguf"
	Opaque = "opaque" // a file of unknown format
)

// Parser opens the files of a source and reads their headers. The zero value is ready.
type Parser struct {
	// Opaque accepts an invalid GGUF file as a file of unknown format.
	Opaque bool
	// HeaderBytes is the memory limit for the headers of a model; 0 means gguf.DefaultMemory for
	// each.
	HeaderBytes int64
	// Part accepts a single part of a split model.
	Part bool
}

// Parse parses a source. It reads headers only. The error of a file is an *ingest.SourceError.
func (p Parser) Parse(ctx context.Context, source ingest.Source) (*ingest.Model, error) {
	m := &ingest.Model{Name: source.Name, URI: source.URI, Type: Opaque}
	var main *gguf.File // header of the first weights file that has one
	var parts []splitPart
	weights := 0
	for _, sf := range source.Files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		file, header, err := p.parseFile(ctx, sf)
		if err != nil {
			return nil, err
		}
		if p.HeaderBytes > 0 {
			p.HeaderBytes = max(1, p.HeaderBytes-headerBytes(&file))
		}
		m.Files = append(m.Files, file)
		if file.Role == ingest.Weights {
			weights++
		}
		if header == nil || file.Role != ingest.Weights {
			continue
		}
		if main == nil {
			main = header
		}
		parts = append(parts, splitPartOf(file.Path, header))
	}
	if !p.Part && len(parts) == weights { // not if a part is kept as a blob
		if err := checkParts(parts); err != nil {
			return nil, err
		}
	}
	describe(m, main)
	if m.Name == "" {
		m.Name = filepath.Base(m.Files[0].Path)
	}
	return m, nil
}

// parseFile opens a file and reads its header, if it has a known format.
func (p Parser) parseFile(ctx context.Context, sf ingest.SourceFile) (ingest.File, *gguf.File, error) {
	refuse := func(err error) (ingest.File, *gguf.File, error) {
		var invalid *gguf.Error
		if errors.As(err, &invalid) {
			err = fmt.Errorf("refused as a GGUF file: %w", err)
			if invalid.Err == nil && !p.Opaque { // the file is invalid; not a read error or a memory limit
				err = fmt.Errorf("%w (`ingest models --opaque` keeps it as a blob)", err)
			}
		}
		return ingest.File{}, nil, &ingest.SourceError{Path: sf.Path, Offset: -1, Err: err}
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
	file := ingest.File{Path: sf.Path, Root: sf.Root, Role: sf.Role, Format: Opaque, Bytes: info.Size(),
		Modified: info.ModTime(), Expected: sf.Expected, ExpectedBytes: sf.ExpectedBytes}
	if sf.ExpectedBytes >= 0 && sf.ExpectedBytes != file.Bytes {
		return refuse(fmt.Errorf("it has %d bytes, but its manifest says %d: fetch it again", file.Bytes,
			sf.ExpectedBytes))
	}
	first, err := head(opened)
	if err != nil {
		return refuse(err)
	}
	if !gguf.Sniff(first) && (p.Opaque || !hasGGUFName(sf.Path)) {
		return file, nil, nil
	}
	header, err := gguf.Limits{Memory: p.HeaderBytes}.Parse(contextReader{ctx, opened}, file.Bytes)
	var invalid *gguf.Error
	if p.Opaque && errors.As(err, &invalid) && invalid.Err == nil {
		file.Warnings = append(file.Warnings, fmt.Sprintf("kept as a blob: %v", err))
		return file, nil, nil
	}
	if err != nil {
		return refuse(err)
	}
	file.Format = GGUF
	addTensors(&file, header)
	return file, header, nil
}

// headerBytes estimates the memory of a file's tensors.
func headerBytes(file *ingest.File) int64 {
	n := int64(0)
	for i := range file.Tensors {
		n += gguf.TensorBytes + int64(len(file.Tensors[i].Name))
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
	first := make([]byte, 16)
	n, err := file.ReadAt(first, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return first[:n], nil
}

func hasGGUFName(path string) bool { return strings.EqualFold(filepath.Ext(path), ".gguf") }

// addTensors converts the header's tensors.
func addTensors(file *ingest.File, header *gguf.File) {
	unknown := map[string]int{}
	file.Tensors = make([]ingest.Tensor, len(header.Tensors))
	for i, t := range header.Tensors {
		elements, bytes, known := t.Type.Block()
		if !known {
			unknown[t.Type.String()]++
		}
		file.Tensors[i] = ingest.Tensor{Name: t.Name, Type: t.Type.String(), Shape: t.Shape,
			Elements: int64(t.Elements), Offset: t.Offset, Bytes: t.Size, BlockElements: elements, BlockBytes: bytes}
	}
	for name, n := range unknown {
		file.Warnings = append(file.Warnings,
			fmt.Sprintf("%d tensors of unknown type %s: stored as bytes outside all tensors", n, name))
	}
}
