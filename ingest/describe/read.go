package describe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/hartonomous/ingest/ingest"
)

var (
	// ErrDamaged means that a description is incomplete, or does not have its digest.
	ErrDamaged = errors.New("the description is damaged")
	// ErrVersion means that another version of the program wrote a description.
	ErrVersion = errors.New("the description has another version: use a newer ingest")
)

// Limits of a frame, in bytes, and of the names of a model.
const (
	maxHead  = 8 << 20 // with metadata of up to 1 MiB
	maxLine  = 1 << 20 // of a tensor or a segment
	maxNames = 10_000
)

// Reader reads a frame, line by line.
type Reader struct {
	Head
	lines      *bufio.Scanner
	compressed *zstd.Decoder
	stored     *section
	read       End
}

// Open reads the head of a frame. The caller must close the Reader.
func Open(ctx context.Context, store ingest.DescriptionStore, f Frame) (*Reader, error) {
	r := &Reader{stored: &section{ctx: ctx, store: store, file: f.File, at: f.offset, end: f.offset + f.size}}
	var err error
	r.compressed, err = zstd.NewReader(bufio.NewReaderSize(r.stored, readBytes), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil, err
	}
	r.lines = bufio.NewScanner(r.compressed)
	r.lines.Buffer(make([]byte, 0, 64<<10), maxHead)
	line, err := r.line()
	if err == nil {
		err = r.parseHead(line)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) parseHead(line []byte) error {
	var head struct {
		Version int `json:"description"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return fmt.Errorf("%w: head: %w", ErrDamaged, err)
	}
	if head.Version != Version {
		return fmt.Errorf("%w (it has %d, and this program reads %d)", ErrVersion, head.Version, Version)
	}
	if err := strictly(line, &r.Head); err != nil {
		return fmt.Errorf("%w: head: %w", ErrDamaged, err)
	}
	if r.Removed {
		return nil
	}
	if n := len(r.Names); len(r.Files) == 0 || n == 0 || n > maxNames {
		return fmt.Errorf("%w: %d files and %d names", ErrDamaged, len(r.Files), n)
	}
	for _, n := range r.Names {
		for _, f := range n.Files {
			if f.File < 0 || f.File >= len(r.Files) {
				return fmt.Errorf("%w: name %s has file %d of %d", ErrDamaged, ingest.Printable(string(n.Name)), f.File,
					len(r.Files))
			}
		}
	}
	return nil
}

// Close releases the memory of the decompressor.
func (r *Reader) Close() { r.compressed.Close() }

// line returns the next line.
func (r *Reader) line() ([]byte, error) {
	if err := r.stored.ctx.Err(); err != nil {
		return nil, context.Cause(r.stored.ctx)
	}
	if r.lines.Scan() {
		return r.lines.Bytes(), nil
	}
	if err := r.stored.storeErr; err != nil {
		return nil, err
	}
	if err := r.lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil, fmt.Errorf("%w: it ends early", ErrDamaged)
}

// shortLine returns the next line, which is not the head.
func (r *Reader) shortLine() ([]byte, error) {
	line, err := r.line()
	if err == nil && len(line) > maxLine {
		err = fmt.Errorf("%w: a line of %d bytes", ErrDamaged, len(line))
	}
	return line, err
}

// Tensors calls tensor for each tensor, with the index of its file. It must be called once, before
// Segments.
func (r *Reader) Tensors(tensor func(file int, t Tensor) error) error {
	for i, f := range r.Files {
		for range f.Tensors {
			line, err := r.shortLine()
			if err != nil {
				return err
			}
			var t Tensor
			if err := strictly(line, &t); err != nil {
				return fmt.Errorf("%w: tensor %d: %w", ErrDamaged, r.read.Tensors, err)
			}
			r.read.Tensors++
			if err := tensor(i, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// Segments calls segment for each segment, which may keep its payload, and then checks the end of the frame.
func (r *Reader) Segments(segment func(Segment) error) error {
	for {
		line, err := r.shortLine()
		if err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte(`{"end":`)) {
			return r.finish(line)
		}
		var s Segment
		if err := strictly(line, &s); err != nil {
			return fmt.Errorf("%w: segment %d: %w", ErrDamaged, r.read.Segments, err)
		}
		if s.File < 0 || s.File >= len(r.Files) || s.Tensor < ingest.NoTensor ||
			s.Tensor >= r.Files[s.File].Tensors || s.Bytes < 1 || s.Bytes > ingest.MaxSegmentBytes {
			return fmt.Errorf("%w: segment %d is out of range", ErrDamaged, r.read.Segments)
		}
		r.read.Segments++
		if err := segment(s); err != nil {
			return err
		}
	}
}

// finish checks the counts of the last line, and that nothing follows it.
func (r *Reader) finish(line []byte) error {
	var end endLine
	if err := strictly(line, &end); err != nil || end.End == nil || *end.End != r.read {
		return fmt.Errorf("%w: it has %d tensors and %d segments, and ends with %s", ErrDamaged, r.read.Tensors,
			r.read.Segments, line)
	}
	if r.lines.Scan() {
		return fmt.Errorf("%w: lines follow its end", ErrDamaged)
	}
	if r.stored.storeErr != nil {
		return r.stored.storeErr
	}
	if err := r.lines.Err(); err != nil { // a wrong checksum
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// strictly decodes a line without unknown fields.
func strictly(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text follows the object")
	}
	return nil
}
