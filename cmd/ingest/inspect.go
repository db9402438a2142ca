package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
)

func newInspect(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "inspect FILE",
		Short:   "Show what a file contains, without ingesting it",
		Example: "  ingest inspect model.gguf",
		Args:    requireArg("FILE", cobra.ExactArgs(1)),
		RunE:    func(c *cobra.Command, args []string) error { return p.inspect(c.Context(), args[0]) },
	}
}

func (p *program) inspect(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	parser := format.Parser{HeaderBytes: int64(p.memory) / headerShare, Part: true}
	source := ingest.Source{Files: []ingest.SourceFile{{Path: path, Role: ingest.Weights, ExpectedBytes: -1}}}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no such file", ingest.Printable(path))
	case err == nil && info.IsDir():
		return fmt.Errorf("%s: it is a folder: name a file; `ingest models --dry-run` lists the models of a folder",
			ingest.Printable(path))
	}
	m, err := parser.Parse(ctx, source)
	if err != nil {
		return err
	}
	file := &m.Files[0]
	if p.json {
		p.printJSON(inspectedFile{"file", m.Name, path, file.Format, m.Architecture, file.Bytes, m.Parameters(),
			len(file.Tensors), metadataObject(m.Metadata), list(file.Warnings)})
	} else {
		p.table([][]any{{"file", path}, {"format", file.Format}, {"name", m.Name}, {"architecture", m.Architecture},
			{"size", fmt.Sprintf("%d (%s)", file.Bytes, human(file.Bytes))}, {"parameters", m.Parameters()},
			{"tensors", len(file.Tensors)}})
		for _, warning := range file.Warnings {
			fmt.Fprintln(p.stdout, "warning:", ingest.Printable(warning))
		}
		if len(m.Metadata) > 0 {
			fmt.Fprintln(p.stdout, "\nMETADATA")
			p.printMetadata(m.Metadata)
		}
	}
	p.inspectTensors(file)
	p.printSummary(inspectSummary{newSummary(), len(file.Tensors), len(file.Warnings)})
	return nil
}

func (p *program) inspectTensors(file *ingest.File) {
	rows := [][]any{{"TENSOR", "TYPE", "SHAPE", "OFFSET", "BYTES"}}
	for i, t := range file.Tensors {
		if p.json {
			p.printJSON(tensorObject{"tensor", i, t.Name, t.Type, list(t.Shape), t.Elements, t.Offset, t.Bytes})
			continue
		}
		rows = p.flush(append(rows, []any{t.Name, t.Type, fmt.Sprint(t.Shape), t.Offset, t.Bytes}))
	}
	if !p.json && len(file.Tensors) > 0 {
		p.section()
		p.table(rows)
	}
}
