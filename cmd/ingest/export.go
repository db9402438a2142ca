package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/durable"
)

func newExport(p *program) *cobra.Command {
	var to string
	var force, weights bool
	c := &cobra.Command{
		Use:   "export MODEL -o FILE",
		Short: "Write a model's files, checked against their SHA-256",
		Long: `Write a model's files, and check each against its SHA-256. A file gets its name when it is complete
and correct. A model of several files is written to a folder, each file under its own name. An Ollama
model also has a template, licences and a manifest; --weights omits them. export copies the files of a registered
model from their paths.

` + modelArgument,
		Example: "  ingest export tiny -o tiny.gguf\n  ingest export llama3:latest --weights -o llama3.gguf",
		Args:    requireArg("MODEL", cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if to == "" {
				return usage("-o is missing: name a file, or a folder for a model of several files")
			}
			if to == "-" {
				return usage("-o -: want a file, because damage may be found after bytes are on stdout (./- is a " +
					"file named -)")
			}
			return p.export(c.Context(), args[0], to, force, weights)
		},
	}
	c.Flags().StringVarP(&to, "output", "o", "", "file to write, or a folder for a model of several files")
	c.Flags().BoolVar(&force, "force", false, "replace an existing file")
	c.Flags().BoolVar(&weights, "weights", false, "write the weights only")
	return c
}

func (p *program) export(ctx context.Context, reference, to string, force, weights bool) error {
	h, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer h.catalog.Close()
	m, err := ingest.FindModel(ctx, h.catalog, reference)
	if err != nil {
		return err
	}
	if err := requireComplete(ctx, h.catalog, m); err != nil {
		return err
	}
	if m.State != ingest.ModelRegistered {
		if err := p.requireStore(ctx, h); err != nil {
			return err
		}
	}
	if weights {
		m.Files = slices.DeleteFunc(m.Files, func(f ingest.StoredFile) bool { return f.Role != ingest.Weights })
	}
	if len(m.Files) == 0 {
		return fmt.Errorf("model %d has no weights", m.ID)
	}
	targets, err := exportTargets(m, to)
	if err != nil {
		return err
	}
	progress := &ingest.Progress{}
	progress.BytesTotal.Store(totalBytes(m))
	progress.FilesTotal.Store(int64(len(m.Files)))
	stop := p.showProgress(progress)
	defer stop()
	r := p.reader(h, progress)
	for i, file := range m.Files {
		if err := r.Export(ctx, file, targets[i], force); err != nil {
			return err
		}
		progress.FilesDone.Add(1)
		if p.json || !p.quiet {
			p.emit(map[string]any{"event": "exported", "path": targets[i], "sha256": file.Digest, "bytes": file.Bytes},
				"%s  %s\n", file.Digest, ingest.Printable(targets[i]))
		}
	}
	return nil
}

// exportTargets returns a path for each file. It creates the folder for a model of several files.
func exportTargets(m ingest.Summary, to string) ([]string, error) {
	info, err := os.Stat(to)
	isFolder := err == nil && info.IsDir()
	if err == nil && !isFolder && !info.Mode().IsRegular() {
		return nil, usage("%s is a device or a pipe: name a file or a folder", ingest.Printable(to))
	}
	if len(m.Files) == 1 && !isFolder {
		if _, err := os.Stat(filepath.Dir(to)); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("folder %s does not exist", ingest.Printable(filepath.Dir(to)))
		}
		return []string{to}, nil
	}
	if err == nil && !isFolder {
		return nil, usage("%s is a file, and model %d has %d files: name a folder",
			ingest.Printable(to), m.ID, len(m.Files))
	}
	if err := durable.MkdirAll(to, 0o755); err != nil {
		return nil, err
	}
	targets, used := make([]string, len(m.Files)), map[string]bool{}
	for i, f := range m.Files {
		name := filepath.Base(filepath.Clean("/" + f.Name)) // a name from the database must not lead out of the folder
		if name == string(filepath.Separator) || used[name] {
			name = fmt.Sprintf("%d-%s", i, f.Digest)
		}
		used[name] = true
		targets[i] = filepath.Join(to, name)
	}
	return targets, nil
}
