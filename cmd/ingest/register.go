package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/format"
	"github.com/hartonomous/ingest/ingest/register"
)

func newRegister(p *program) *cobra.Command {
	trust, f := false, &selectFlags{}
	c := &cobra.Command{
		Use:   "register PATH...",
		Short: "Catalogue model files where they are, without copying them",
		Long: `Register model files and folders: the catalogue gets rows of their names, files and tensors, and the
path of each file. Nothing is copied. Each file is read once, for its SHA-256. register finds the files
that ` + "`ingest models`" + ` finds.

verify, export and cat read the files of a registered model at their paths. rm removes its rows, but no
file. If you later ingest the files with ` + "`ingest models`" + `, the stored model takes over the names of the
registered one. If a file has changed, register it again to replace the registered model.

--trust-names does not read a file whose name is its SHA-256, such as a blob of Ollama (sha256-...). The row
then says that the digest was not computed. verify reads such a file; register without --trust-names
computes the digest. Until then, the file does not count as stored, even if a stored file has the SHA-256 that
the name claims.

` + exitCodes,
		Example: "  ingest register /mnt/models\n  ingest register ~/.ollama/models --trust-names",
		Args:    requirePaths,
		RunE:    func(c *cobra.Command, args []string) error { return p.register(c.Context(), f, args, trust) },
	}
	c.Flags().BoolVar(&trust, "trust-names", false,
		"take the SHA-256 from names that are one, without reading the files")
	f.addTo(c.Flags(), "in folders, register files that are not models, too")
	return c
}

func (p *program) register(ctx context.Context, f *selectFlags, args []string, trust bool) error {
	paths, err := f.paths(ctx, args)
	if err != nil {
		return err
	}
	path, err := p.catalogPath()
	if err != nil {
		return err
	}
	catalog, err := p.openCatalog(ctx, path)
	if err != nil {
		return err
	}
	defer catalog.Close()
	found, err := p.find(ctx, *f, paths)
	if err != nil {
		return err
	}
	progress := &ingest.Progress{}
	registrar := register.Registrar{Catalog: catalog, TrustNames: trust, Progress: progress, Log: p.log,
		Parse: format.Parser{HeaderBytes: int64(p.memory) / headerShare}.Parse}
	request := ingest.JobRequest{Pipeline: "register", Source: f.source(paths), Paths: paths}
	stop := p.showProgress(progress)
	report, err := registrar.Run(ctx, request, found)
	stop()
	if report == nil {
		return err
	}
	p.printRegistered(report)
	switch {
	case errors.Is(err, ingest.ErrInterrupted):
		return &codeError{exitInterrupted,
			errors.New("interrupted; registered models stay: run the same command again to continue")}
	case err == nil && len(report.Refused) > 0:
		return &codeError{code: exitSomeRefused}
	case err == nil:
		return requireFound(found, paths)
	}
	return err
}

// printRegistered prints the report of a run.
func (p *program) printRegistered(r *register.Report) {
	for _, m := range r.Registered {
		if !p.json && p.quiet {
			break
		}
		verb, read := "registered", ""
		if m.Stored {
			verb = "present"
		}
		if m.Trusted > 0 {
			read = fmt.Sprintf(", %d not read", m.Trusted)
		}
		p.emit(registeredObject{verb, m.Model, m.Name, m.Files, m.Bytes, m.Trusted},
			"%s  model %d  %s  (%s in %s%s)\n", verb, m.Model, shortName(m.Name), human(m.Bytes),
			plural(m.Files, "file"), read)
	}
	p.printNotes("skipped", r.Skipped)
	p.printNotes("warning", r.Warnings)
	p.printNotes("refused", r.Refused)
	p.printSummary(registerSummary{newSummary(), r.Job, len(r.Registered), len(r.Skipped), len(r.Refused), r.BytesRead,
		r.Elapsed.Seconds()})
	p.printf("job %d: %s registered, %d skipped, %d refused; %s read, nothing copied; %s\n", r.Job,
		plural(len(r.Registered), "model"), len(r.Skipped), len(r.Refused), human(r.BytesRead),
		r.Elapsed.Round(10*time.Millisecond))
}
