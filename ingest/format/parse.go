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

// The formats, as Models.ModelType and ModelFiles.Format have them.
const (
	GGUF   = "gguf"
	Opaque = "opaque" // bytes that we keep and do not look into
)

// Parser opens the files of a source and reads their headers. The zero value is ready.
type Parser struct {
	// Opaque keeps a file that says that it is GGUF, and is not or is damaged, as a blob.
	Opaque bool
	// HeaderBytes is the most memory that the header of one file may take; 0 means the
	// reader's own limit.
	HeaderBytes int64
	// Part parses one part of a split file by itself.
	Part bool
}

// Parse makes a model of a source. Trouble with a file is an *ingest.SourceError. It reads headers only.
func (p Parser) Parse(ctx context.Context, source ingest.Source) (*ingest.Model, error) {
	m := &ingest.Model{Name: source.Name, URI: source.URI, Type: Opaque}
	var main *gguf.File // the header that speaks for the model: that of the first weights file that has one
	var parts []shard
	weights := 0
	for _, sf := range source.Files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		file, header, err := p.parseFile(ctx, sf)
		if err != nil {
			return nil, err
		}
		if p.HeaderBytes > 0 { // what one file's header takes, the others of the model cannot
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
		parts = append(parts, shardOf(file.Path, header))
	}
	if err := checkParts(parts, len(parts) == weights); err != nil && !p.Part {
		return nil, err
	}
	describe(m, main)
	if m.Name == "" {
		m.Name = filepath.Base(m.Files[0].Path)
	}
	return m, nil
}

// parseFile looks at the first bytes of a file and reads its header, if it has one of ours.
func (p Parser) parseFile(ctx context.Context, sf ingest.SourceFile) (ingest.File, *gguf.File, error) {
	refuse := func(err error) (ingest.File, *gguf.File, error) {
		var broken *gguf.Error
		if errors.As(err, &broken) {
			err = fmt.Errorf("refused as a GGUF file: %w", err)
			if broken.Err == nil && !p.Opaque { // the file is to blame, not the disk or a cap
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
		Modified: info.ModTime(),
		Expected: sf.Expected, ExpectedBytes: sf.ExpectedBytes}
	if sf.ExpectedBytes >= 0 && sf.ExpectedBytes != file.Bytes {
		return refuse(fmt.Errorf("it has %d bytes, and its manifest says %d: fetch it again", file.Bytes,
			sf.ExpectedBytes))
	}
	first, err := head(opened)
	if err != nil {
		return refuse(err)
	}
	if !gguf.Sniff(first) && (p.Opaque || !saysGGUF(sf.Path)) {
		return file, nil, nil
	}
	header, err := gguf.Limits{Memory: p.HeaderBytes}.Parse(stoppable{ctx, opened}, file.Bytes)
	var broken *gguf.Error
	if p.Opaque && errors.As(err, &broken) && broken.Err == nil { // the file is to blame, not the disk or a cap
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

// headerBytes is about what a file's tensors take in memory, in the reader's form and in ours.
func headerBytes(file *ingest.File) int64 {
	n := int64(0)
	for i := range file.Tensors {
		n += 224 + int64(len(file.Tensors[i].Name)) // as the reader counts them
	}
	return n
}

// stoppable is a file that cannot be read any more once the context has ended.
type stoppable struct {
	ctx    context.Context
	source io.ReaderAt
}

func (s stoppable) ReadAt(p []byte, offset int64) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.source.ReadAt(p, offset)
}

// head returns the first bytes of a file, as many as it takes to tell what it is.
func head(file *os.File) ([]byte, error) {
	first := make([]byte, 16)
	n, err := file.ReadAt(first, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return first[:n], nil
}

func saysGGUF(path string) bool { return strings.EqualFold(filepath.Ext(path), ".gguf") }

// addTensors turns the header's tensors into the library's.
func addTensors(file *ingest.File, header *gguf.File) {
	unknown := map[string]int{}
	file.Tensors = make([]ingest.Tensor, len(header.Tensors))
	for i, t := range header.Tensors {
		elements, bytes, known := t.Type.Block()
		if !known {
			unknown[t.Type.String()]++
		}
		file.Tensors[i] = ingest.Tensor{Name: t.Name, Type: t.Type.String(), Shape: t.Shape,
			Elements: int64(t.Elements),
			Offset:   t.Offset, Bytes: t.Size, BlockElements: elements, BlockBytes: bytes}
	}
	for name, n := range unknown {
		file.Warnings = append(file.Warnings,
			fmt.Sprintf("%d tensors of the unknown type %s: kept as bytes that belong to no tensor", n, name))
	}
}
