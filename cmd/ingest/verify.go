package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/lease"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/ingest/source"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

func newVerify(p *program) *cobra.Command {
	var repair string
	var read, server bool
	c := &cobra.Command{
		Use:   "verify [MODEL]",
		Short: "Check stored payloads, and repair damaged ones",
		Long: `Verify reads every stored segment of a model, or of all complete models, compares its SHA-256, and
reports damaged or missing segments by tensor. --repair writes them again from a copy of the file. Without
MODEL, verify also checks files that are stored whole (rows of Atoms with a payload or an address).

With a store of blobs, verify reads only metadata: each blob must exist with the right size and digest,
and must not have been overwritten. Overwritten blobs are read. This does not detect bytes that the
service lost; --read reads all blobs. With --server, SQL Server hashes the payloads in its rows and
transfers none of them. Verify then relies on the rows for the SHA-256 of whole files.

Verify reads the files of a registered model at their paths, and reports those that are missing, changed or
damaged. It does not repair them.

` + exitCodes,
		Example: "  ingest verify\n  ingest verify llama3:latest --repair llama3.gguf",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.verify(c.Context(), args, repair, read, server)
		},
	}
	c.Flags().BoolVar(&read, "read", false, "read blobs and hash them, instead of checking metadata")
	c.Flags().BoolVar(&server, "server", false, "let SQL Server hash the payloads in its rows, instead of reading them")
	c.Flags().StringVar(&repair, "repair", "", "repair from this intact copy of the model's damaged file")
	return c
}

func (p *program) verify(ctx context.Context, args []string, repair string, read, server bool) error {
	if read && server {
		return usage("--read and --server are mutually exclusive")
	}
	if repair != "" && len(args) == 0 {
		return usage("--repair needs the MODEL of the file")
	}
	h, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer h.catalog.Close()
	models, err := modelsToVerify(ctx, h.catalog, args)
	if err != nil {
		return err
	}
	v := &verification{program: p, progress: &ingest.Progress{}, seen: map[int64]bool{}}
	if err := v.count(models); err != nil {
		return err
	}
	if v.models == 0 || v.models > v.registered {
		if err := p.requireStore(ctx, h); err != nil {
			return err
		}
	}
	if server && !sqlserver.IsAddress(p.catalog) {
		return errors.New("--server needs a catalogue on SQL Server: omit it to read the payloads")
	}
	v.verifier = &reader.Verifier{Reader: p.reader(h, v.progress), Server: server, Attested: isBlobs(p.store) &&
		h.store != nil && !read}
	if repair != "" {
		copied, err := v.openCopy(repair)
		if err != nil {
			return err
		}
		defer copied.Close()
		v.verifier.Repair = copied
	}
	stop := p.showProgress(v.progress)
	err = v.run(ctx, h.catalog, args, models)
	switch {
	case ctx.Err() != nil:
	case len(args) == 0:
		err = errors.Join(err, v.atoms(ctx, h))
	case v.foreign > 0:
		err = errors.Join(err, errors.New("segments without a digest were not verified: `ingest migrate segments` "+
			"to a store adds their digests"))
	}
	stop()
	verdict := v.finish()
	err = errors.Join(err, v.hint(context.WithoutCancel(ctx), h.catalog))
	if err != nil && verdict != nil {
		return &codeError{exitDamage, err}
	}
	return errors.Join(verdict, err)
}

// openCopy opens the file for --repair. The model is the only one.
func (v *verification) openCopy(path string) (*os.File, error) {
	if v.registered > 0 {
		return nil, errors.New("--repair: the model is registered, and its files are not in a store: restore them at " +
			"their paths, or register them again")
	}
	copied, err := source.Open(path, "")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--repair %s: there is no such file", ingest.Printable(path))
	}
	if err != nil {
		return nil, fmt.Errorf("--repair %s: %w (if the model has several files, name the damaged one)",
			ingest.Printable(path), err)
	}
	return copied, nil
}

// hint says what can be done about the damage.
func (v *verification) hint(ctx context.Context, jobs ingest.Jobs) error {
	if v.missingRows > 0 {
		fmt.Fprintln(v.stderr, "ingest: hint: missing rows cannot be repaired: remove the model with `ingest rm`, and "+
			"ingest its file again")
	}
	if v.atPaths > 0 {
		fmt.Fprintln(v.stderr, "ingest: hint: verify does not repair registered files: restore them at "+
			"their paths, and register them again if they changed; `ingest migrate locators --clear-locators` "+
			"removes a damaged copy of a file that is intact at its path")
	}
	repairable := v.damaged - v.missingRows - v.atPaths
	var err error
	if v.missing > 0 {
		var elsewhere bool
		if elsewhere, err = v.hintStores(ctx, jobs); elsewhere {
			repairable -= v.missing
		}
	}
	if repairable > 0 && v.verifier.Repair == nil {
		fmt.Fprintln(v.stderr, "ingest: hint: `ingest verify MODEL --repair FILE` repairs segments from the "+
			"original file")
	}
	return err
}

// modelsToVerify returns the model that args name, or all that can be verified: a sequence, because
// a catalogue may have more of them than the memory limit allows.
func modelsToVerify(ctx context.Context, catalog ingest.Catalog, args []string) (iter.Seq2[ingest.Summary, error],
	error) {
	if len(args) == 1 {
		m, err := ingest.FindModel(ctx, catalog, args[0])
		if err == nil {
			err = requireComplete(ctx, catalog, m)
		}
		if err == nil && len(m.Files) == 0 {
			err = requireDigest(ctx, catalog, m)
		}
		return func(yield func(ingest.Summary, error) bool) { yield(m, nil) }, err
	}
	return func(yield func(ingest.Summary, error) bool) {
		for m, err := range catalog.Models(ctx) {
			wanted := m.State == ingest.ModelComplete || m.State == ingest.ModelRegistered
			if (wanted || err != nil) && !yield(m, err) {
				return
			}
		}
	}, nil
}

// requireDigest returns an error if no segment of a model without files has a digest.
func requireDigest(ctx context.Context, catalog ingest.Catalog, m ingest.Summary) error {
	for s, err := range catalog.TensorSegments(ctx, m.ID) {
		if err != nil || !s.Digest.IsZero() {
			return err
		}
	}
	return fmt.Errorf("model %d cannot be verified: another program wrote it, and recorded no digest", m.ID)
}

// count counts the models and their bytes.
func (v *verification) count(models iter.Seq2[ingest.Summary, error]) error {
	for m, err := range models {
		if err != nil {
			return err
		}
		v.models++
		if m.State == ingest.ModelRegistered {
			v.registered++
		}
		addTotals(v.progress, m)
	}
	return nil
}

// verification is one call of the command.
type verification struct {
	*program
	verifier          *reader.Verifier
	progress          *ingest.Progress
	models            int
	registered        int // of models
	verified          int // models
	foreign           int // models of other programs, with segments that have no digest
	damaged, repaired int
	missing           int // of damaged
	missingRows       int // of damaged
	atPaths           int // of damaged, registered files
	files             int // that are stored whole, and were verified
	// seen are the atoms of files of registered models, which were verified with them.
	seen map[int64]bool
}

// run verifies the models. If it may write, it runs as a job, which excludes gc.
func (v *verification) run(ctx context.Context, catalog ingest.Catalog, args []string,
	models iter.Seq2[ingest.Summary, error]) error {
	if v.verifier.Repair == nil && !isBlobs(v.store) {
		return v.all(ctx, models)
	}
	request := ingest.JobRequest{Pipeline: "verify", Source: strings.Join(append([]string{"verify"}, args...), " ")}
	return lease.Run(ctx, catalog, request, v.log, func(ctx context.Context, job ingest.Lease) error {
		v.verifier.Writer, v.verifier.Lease = catalog, job
		return v.all(ctx, models)
	}, nil)
}

// all verifies the models. One that cannot be verified does not stop the others.
func (v *verification) all(ctx context.Context, models iter.Seq2[ingest.Summary, error]) error {
	var failed error
	for m, err := range models {
		if err != nil {
			return errors.Join(failed, err)
		}
		err := v.model(ctx, m)
		var lacking *reader.NoDigestError
		switch {
		case errors.As(err, &lacking):
			v.foreign++
			v.emit(notVerifiedModel{"not_verified", m.ID, m.Name, lacking.Error(), lacking.Segments, lacking.Without},
				"not verified  model %d  %s: %v\n", m.ID, shortName(m.Name), lacking)
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("model %d (%s): %w", m.ID, shortName(m.Name), err))
		default:
			v.verified++
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}

// model verifies all files of a model. One that cannot be verified does not stop the others.
func (v *verification) model(ctx context.Context, m ingest.Summary) error {
	v.progress.Begin(m.Name)
	defer v.progress.End(m.Name)
	var failed error
	for _, file := range m.Parts() {
		if file.Whole {
			v.seen[file.Atom] = true
		}
		err := v.verifier.Verify(ctx, file, func(d reader.Damage) { v.found(m, d) })
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			if file.ID != 0 {
				err = fmt.Errorf("file %s: %w", ingest.Printable(file.Name), err)
			}
			failed = errors.Join(failed, err)
			continue
		}
		v.progress.FilesDone.Add(1)
	}
	return failed
}
