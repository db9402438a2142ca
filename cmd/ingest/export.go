package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/durable"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/layout"
)

// exportOptions are the flags of export.
type exportOptions struct {
	to, layout     string
	force, weights bool
}

func newExport(p *program) *cobra.Command {
	var o exportOptions
	c := &cobra.Command{
		Use:   "export MODEL... -o FILE",
		Short: "Write a model's files, checked against their SHA-256",
		Long: `Write a model's files, and check each against its SHA-256. A file gets its name when it is complete
and correct. A model of several files is written to a folder, each file under its own name. An Ollama
model also has a template, licences and a manifest; --weights omits them. export copies the files of a registered
model from their paths.

If a model has several names, the files of the one that MODEL is are written; of the oldest name if MODEL is an id, and
of the oldest name with the file if it is a SHA-256.

With --as, -o is a folder, and MODEL may be repeated. Files that are in the folder with the right content are kept:

  original  the files at the relative paths at which they were ingested
  ollama    a models folder of Ollama
  hf        a repository, as hf download writes it into a folder
  oci       an OCI image layout, as ModelPack specifies it for models

` + modelArgument,
		Example: "  ingest export tiny -o tiny.gguf\n  ingest export llama3:latest --weights -o llama3.gguf\n" +
			"  ingest export --as ollama llama3:latest -o models",
		Args: requireArg("MODEL", cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return err
			}
			return p.export(c.Context(), args, o)
		},
	}
	c.Flags().StringVarP(&o.to, "output", "o", "", "file to write, or a folder for a model of several files")
	c.Flags().StringVar(&o.layout, "as", "", "write a layout to a folder: original, ollama, hf or oci")
	c.Flags().BoolVar(&o.force, "force", false, "replace existing files; other files in a folder stay")
	c.Flags().BoolVar(&o.weights, "weights", false, "write the weights only")
	_ = c.RegisterFlagCompletionFunc("as", cobra.FixedCompletions(exportLayouts, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (o exportOptions) check(models []string) error {
	switch {
	case o.to == "":
		return usage("-o is missing: name a file, or a folder for a model of several files")
	case o.to == "-":
		return usage("-o -: want a file, because damage may be found after bytes are on stdout (./- is a file named -)")
	case o.layout == "" && len(models) > 1:
		return usage("%d models: only export --as writes several", len(models))
	case o.layout != "" && !slices.Contains(exportLayouts, o.layout):
		return usage("--as %s: want %s", ingest.Printable(o.layout), strings.Join(exportLayouts, ", "))
	case o.weights && (o.layout == asOllama || o.layout == asOCI):
		return usage("--weights: a layout of %s has all files that the manifest names", o.layout)
	}
	return nil
}

func (p *program) export(ctx context.Context, references []string, o exportOptions) error {
	h, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer h.catalog.Close()
	progress := &ingest.Progress{}
	var models []layout.Model
	for _, reference := range references {
		m, err := p.toExport(ctx, h, reference, o.weights)
		if err != nil {
			return err
		}
		for _, f := range m.Under {
			progress.BytesTotal.Add(f.Bytes)
			progress.FilesTotal.Add(1)
		}
		models = append(models, m)
	}
	sum := &exportSummary{summaryHead: newSummary()}
	defer func() { p.printSummary(sum) }()
	if o.layout != "" {
		return p.exportLayout(ctx, h, models, o, progress, sum)
	}
	targets, err := exportTargets(models[0], o.to)
	if err != nil {
		return err
	}
	stop := p.showProgress(progress)
	defer stop()
	progress.Begin(models[0].Alias.Name)
	defer progress.End(models[0].Alias.Name)
	r := p.reader(h, progress)
	for i, file := range models[0].Under {
		if err := r.Export(ctx, file.StoredFile, targets[i], o.force); err != nil {
			return err
		}
		progress.FilesDone.Add(1)
		p.exported(layout.Written{Path: targets[i], Digest: file.Digest, Bytes: file.Bytes}, sum)
	}
	sum.Models++
	return nil
}

// toExport finds a model, which must be complete, and the files of the name that reference means.
func (p *program) toExport(ctx context.Context, h *env, reference string, weights bool) (layout.Model, error) {
	m, name, err := ingest.FindName(ctx, h.catalog, reference)
	if err == nil {
		err = requireComplete(ctx, h.catalog, m)
	}
	if err == nil && m.State != ingest.ModelRegistered {
		err = p.requireStore(ctx, h)
	}
	if err != nil {
		return layout.Model{}, err
	}
	model := layout.Of(m, name)
	if weights {
		model.Under = slices.DeleteFunc(model.Under, func(f layout.File) bool { return f.Role != ingest.Weights })
	}
	if len(model.Under) == 0 {
		return model, fmt.Errorf("model %d has no weights", m.ID)
	}
	return model, nil
}

// exported prints a file that was written, or that was there.
func (p *program) exported(w layout.Written, sum *exportSummary) {
	event, format := "exported", "%[1]s  %[2]s\n"
	if w.Present {
		event, format = "present", "present  %[2]s\n"
		sum.FilesPresent++
		sum.BytesPresent += w.Bytes
	} else {
		sum.Files++
		sum.Bytes += w.Bytes
	}
	if p.json || !p.quiet {
		p.emit(exportedObject{event, w.Path, w.Digest, w.Bytes}, format, w.Digest, ingest.Printable(w.Path))
	}
}

// exportTargets returns a path for each file. It creates the folder for a model of several files.
func exportTargets(m layout.Model, to string) ([]string, error) {
	info, err := os.Stat(to)
	isFolder := err == nil && info.IsDir()
	if err == nil && !isFolder && !info.Mode().IsRegular() {
		return nil, usage("%s is a device or a pipe: name a file or a folder", ingest.Printable(to))
	}
	if len(m.Under) == 1 && !isFolder {
		if _, err := os.Stat(filepath.Dir(to)); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("folder %s does not exist", ingest.Printable(filepath.Dir(to)))
		}
		return []string{to}, nil
	}
	if err == nil && !isFolder {
		return nil, usage("%s is a file, and model %d has %d files: name a folder%s", ingest.Printable(to), m.ID,
			len(m.Under), weightsHint(m))
	}
	if err != nil && format.IsWeights(to) {
		return nil, usage("%s is the name of a file, and model %d has %d files: name a folder%s", ingest.Printable(to),
			m.ID, len(m.Under), weightsHint(m))
	}
	if err := durable.MkdirAll(to, 0o755); err != nil {
		return nil, err
	}
	targets, used := make([]string, len(m.Under)), map[string]bool{}
	for i, f := range m.Under {
		name := layout.FileName(f.StoredFile)
		if used[name] {
			name = fmt.Sprintf("%d-%s", i, f.Digest)
		}
		used[name] = true
		targets[i] = filepath.Join(to, name)
	}
	return targets, nil
}

// weightsHint names the flag that writes a model of several files to a file; empty if it does not.
func weightsHint(m layout.Model) string {
	weights := 0
	for _, f := range m.Under {
		if f.Role == ingest.Weights {
			weights++
		}
	}
	if weights != 1 {
		return ""
	}
	return ", or use --weights"
}
