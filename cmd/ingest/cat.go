package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/reader"
)

func newCat(p *program) *cobra.Command {
	var f catFlags
	c := &cobra.Command{
		Use:   "cat MODEL [TENSOR]",
		Short: "Write a tensor, a segment or a range of bytes to stdout, verified",
		Long: `Write the bytes of a model's file, or of one of its tensors, to stdout. cat reads only the segments
that contain the bytes, and checks the SHA-256 of each segment before it writes any of it.

A registered model has no segments, so cat cannot check a tensor or a range of its file. The file must have
the registered size. If its modification time differs, cat hashes the whole file first. A whole file is
checked after it is written.

--range FROM-TO counts bytes from the start of the file or tensor. TO is exclusive; FROM- means to the
end. --segment N writes segment N of the tensor, counted from 0. --out writes to a file, which gets its
name when it is complete. A model of several files needs a TENSOR.

` + exitCodes,
		Example: "  ingest cat llama3:latest token_embd.weight --out embd.bin\n" +
			"  ingest cat tiny --range 0-4 | od -c\n" +
			"  ingest cat tiny blk.0.attn_q.weight --segment 0 | sha256sum",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("segment") {
				f.segment = -1
			} else if f.segment < 0 {
				return usage("--segment %d: want 0 or more", f.segment)
			}
			return p.cat(c.Context(), args, f)
		},
	}
	c.Flags().StringVar(&f.span, "range", "", "bytes FROM-TO of the file or tensor; TO is exclusive")
	c.Flags().IntVar(&f.segment, "segment", 0, "segment N of the tensor, from 0")
	c.Flags().StringVarP(&f.out, "out", "o", "", "write to this file instead of stdout")
	c.Flags().BoolVar(&f.force, "force", false, "replace the file that --out names")
	return c
}

type catFlags struct {
	span    string
	segment int // -1: not given
	out     string
	force   bool
}

func (p *program) cat(ctx context.Context, args []string, f catFlags) error {
	if f.span != "" && f.segment >= 0 {
		return usage("--range and --segment are mutually exclusive")
	}
	if f.segment >= 0 && len(args) < 2 {
		return usage("--segment needs a TENSOR")
	}
	e, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer e.catalog.Close()
	model, err := ingest.FindModel(ctx, e.catalog, args[0])
	if err != nil {
		return err
	}
	file, from, to, err := e.extent(ctx, model, args[1:], f)
	if err != nil {
		return err
	}
	if from == 0 && to == file.Bytes {
		if err := requireComplete(ctx, e.catalog, model); err != nil {
			return err
		}
	}
	stored := p.reader(e, nil).Open(ctx, file)
	write := func(w io.Writer) error {
		var err error
		if from == 0 && to == file.Bytes {
			_, err = stored.WriteTo(w)
		} else {
			_, err = stored.WriteRange(w, from, to)
		}
		return err
	}
	if f.out != "" {
		err = reader.WriteFile(f.out, f.force, write)
	} else {
		err = write(p.stdout)
	}
	return err
}

// extent returns the requested file and range of bytes.
func (e *env) extent(ctx context.Context, model ingest.Summary, tensor []string, f catFlags) (file ingest.StoredFile,
	from, to int64, err error) {
	if len(tensor) == 0 {
		if len(model.Files) != 1 {
			return file, 0, 0, fmt.Errorf("model %d has %d files: name a TENSOR, or use `ingest export`", model.ID,
				len(model.Files))
		}
		file = model.Files[0]
		from, to, err = parseRange(f.span, file.Bytes)
		return file, from, to, err
	}
	layer, file, err := reader.Tensor(ctx, e.catalog, model, tensor[0])
	if err != nil {
		return file, 0, 0, err
	}
	if f.segment >= 0 {
		return e.segment(ctx, file, layer, f.segment)
	}
	if layer.Bytes == 0 && layer.Elements > 0 {
		return file, 0, 0, fmt.Errorf("tensor %s has type %s, whose size is unknown: use --range on the file",
			ingest.Printable(layer.Name), layer.Type)
	}
	from, to, err = parseRange(f.span, layer.Bytes)
	return file, layer.Offset + from, layer.Offset + to, err
}

// segment returns the range of a tensor's segment.
func (e *env) segment(ctx context.Context, file ingest.StoredFile, layer ingest.Layer, ordinal int) (ingest.StoredFile,
	int64, int64, error) {
	for s, err := range e.catalog.Segments(ctx, file.ID, layer.Offset) {
		if err != nil {
			return file, 0, 0, err
		}
		if s.Offset >= layer.Offset+layer.Bytes {
			break
		}
		if s.Layer == layer.ID && s.Ordinal == ordinal {
			return file, s.Offset, s.Offset + s.Bytes, nil
		}
	}
	return file, 0, 0, fmt.Errorf("segment %d of tensor %s: %w: the tensor has %d", ordinal,
		ingest.Printable(layer.Name), ingest.ErrNotFound, layer.Segments)
}

// parseRange parses FROM-TO. Empty text means all bytes, and FROM- means to the end.
func parseRange(text string, bytes int64) (from, to int64, err error) {
	if text == "" {
		return 0, bytes, nil
	}
	first, last, ok := strings.Cut(text, "-")
	if from, err = strconv.ParseInt(first, 10, 64); !ok || err != nil {
		return 0, 0, usage("--range %s: want FROM-TO, two byte offsets", ingest.Printable(text))
	}
	if to = bytes; last != "" {
		if to, err = strconv.ParseInt(last, 10, 64); err != nil {
			return 0, 0, usage("--range %s: want FROM-TO, two byte offsets", ingest.Printable(text))
		}
	}
	if from < 0 || from > to || to > bytes {
		return 0, 0, usage("--range %s: want bytes between 0 and %d", ingest.Printable(text), bytes)
	}
	return from, to, nil
}
