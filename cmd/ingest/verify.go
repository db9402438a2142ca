package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
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
	registered := func(m ingest.Summary) bool { return m.State == ingest.ModelRegistered }
	if len(models) == 0 || slices.ContainsFunc(models, func(m ingest.Summary) bool { return !registered(m) }) {
		if err := p.requireStore(ctx, h); err != nil {
			return err
		}
	}
	if server && !sqlserver.IsAddress(p.catalog) {
		return errors.New("--server needs a catalogue on SQL Server: omit it to read the payloads")
	}
	var copied *os.File
	if repair != "" {
		if copied, err = source.Open(repair, ""); err != nil {
			return fmt.Errorf("--repair %s: %w (if the model has several files, name the damaged one)",
				ingest.Printable(repair), err)
		}
		defer copied.Close()
	}
	if copied != nil && registered(models[0]) {
		return fmt.Errorf("--repair: model %d is registered, and its files are not in a store: restore them at their "+
			"paths, or register them again", models[0].ID)
	}
	v := &verification{program: p, progress: &ingest.Progress{}, seen: map[int64]bool{}}
	v.verifier = &reader.Verifier{Reader: p.reader(h, v.progress), Server: server, Attested: isBlobs(p.store) &&
		h.store != nil && !read}
	if copied != nil {
		v.verifier.Repair = copied
	}
	for _, m := range models {
		v.progress.BytesTotal.Add(totalBytes(m))
		v.progress.FilesTotal.Add(int64(len(m.Files)))
	}
	stop := p.showProgress(v.progress)
	err = v.run(ctx, h.catalog, args, models)
	if len(args) == 0 {
		err = errors.Join(err, v.atoms(ctx, h))
	}
	stop()
	verdict := v.finish(len(models))
	if v.missingRows > 0 {
		fmt.Fprintln(p.stderr, "ingest: hint: missing rows cannot be repaired: remove the model with `ingest rm`, and "+
			"ingest its file again")
	}
	if v.atPaths > 0 {
		fmt.Fprintln(p.stderr, "ingest: hint: verify does not repair registered files: restore them at their paths, or "+
			"register them again")
	}
	if v.damaged > v.missingRows+v.atPaths && repair == "" {
		fmt.Fprintln(p.stderr, "ingest: hint: `ingest verify MODEL --repair FILE` repairs segments from the original file")
	}
	if v.missing > 0 {
		err = errors.Join(err, p.hintStores(ctx, h.catalog))
	}
	if err != nil && verdict != nil {
		return &codeError{exitDamage, err}
	}
	return errors.Join(verdict, err)
}

func modelsToVerify(ctx context.Context, library ingest.Reader, args []string) ([]ingest.Summary, error) {
	if len(args) == 1 {
		m, err := ingest.FindModel(ctx, library, args[0])
		if err == nil && m.State != ingest.ModelComplete && m.State != ingest.ModelRegistered {
			err = fmt.Errorf("model %d is not complete: run `ingest resume`", m.ID)
		}
		if err == nil && len(m.Files) == 0 {
			err = fmt.Errorf("model %d cannot be verified: another program wrote it, and recorded no digest", m.ID)
		}
		return []ingest.Summary{m}, err
	}
	var models []ingest.Summary
	for m, err := range library.Models(ctx) {
		if err != nil {
			return nil, err
		}
		if m.State == ingest.ModelComplete || m.State == ingest.ModelRegistered {
			models = append(models, m)
		}
	}
	return models, nil
}

// verification is one call of the command.
type verification struct {
	*program
	verifier          *reader.Verifier
	progress          *ingest.Progress
	verified          int // models
	foreign           int // models of other programs, which recorded no digest
	damaged, repaired int
	missing           int // of damaged
	missingRows       int // of damaged
	atPaths           int // of damaged, registered files
	files             int // that are stored whole, and were verified
	// seen are the atoms of files of registered models, which were verified with them.
	seen map[int64]bool
}

// run verifies the models. If it may write, it runs as a job, which excludes gc.
func (v *verification) run(ctx context.Context, catalog ingest.Catalog, args []string, models []ingest.Summary) error {
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
func (v *verification) all(ctx context.Context, models []ingest.Summary) error {
	var failed error
	for _, m := range models {
		if len(m.Files) == 0 { // written by another program
			v.foreign++
			v.emit(map[string]any{"event": "not_verified", "model": m.ID, "name": m.Name,
				"reason": "no digest is recorded"},
				"not verified  model %d  %s: another program wrote it, and no digest is recorded\n", m.ID,
				ingest.Printable(m.Name))
		} else if err := v.model(ctx, m); err != nil {
			failed = errors.Join(failed, fmt.Errorf("model %d (%s): %w", m.ID, ingest.Printable(m.Name), err))
		} else {
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
	var failed error
	for _, file := range m.Files {
		if file.Whole {
			v.seen[file.Atom] = true
		}
		err := v.verifier.Verify(ctx, file, func(d reader.Damage) { v.found(m, d) })
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("file %s: %w", ingest.Printable(file.Name), err))
			continue
		}
		v.progress.FilesDone.Add(1)
	}
	return failed
}

func (v *verification) found(m ingest.Summary, d reader.Damage) {
	state := "damaged"
	switch {
	case d.Repaired:
		state = "repaired"
		v.repaired++
	case d.File.Whole:
		v.damaged++
		v.atPaths++
		if d.Missing() {
			state = "missing"
		} else if d.Replaced() {
			state = "changed"
		}
	case d.Missing():
		state = "missing"
		v.damaged++
		v.missing++
	default:
		v.damaged++
		if errors.Is(d.Reason, ingest.ErrIncomplete) {
			v.missingRows++
		}
	}
	place := "whole file"
	if d.Segment.Bytes > 0 {
		place = d.Segment.Place()
	}
	v.emit(map[string]any{"event": state, "model": m.ID, "name": m.Name, "file": d.File.Name,
		"tensor": d.Segment.Tensor, "ordinal": d.Segment.Ordinal,
		"offset": d.Segment.Offset, "bytes": d.Segment.Bytes, "sha256": d.Segment.Digest, "reason": d.Reason.Error()},
		"%s  model %d  %s  %s: %v\n", state, m.ID, ingest.Printable(d.File.Name), place, d.Reason)
}

// hintStores names the stores that may contain missing payloads, if there are others than --store.
func (p *program) hintStores(ctx context.Context, jobs ingest.Jobs) error {
	used, err := usedStores(ctx, jobs)
	if err != nil {
		return err
	}
	store, err := p.storeName()
	if len(used) > 1 || len(used) == 1 && used[0].Address != store {
		fmt.Fprintf(p.stderr, "ingest: hint: this catalogue has payloads in %s: name the right store with --store\n",
			storeNames(used))
	}
	return err
}

// how describes how payloads were verified, for the summary.
func (v *verification) how() string {
	switch {
	case v.verifier.Attested:
		return "checked by metadata"
	case v.verifier.Server:
		return fmt.Sprintf("hashed, %s of them by the server", human(v.verifier.Hashed.Load()))
	}
	return "read"
}

func (v *verification) finish(models int) error {
	if v.json {
		v.printJSON(map[string]any{"event": "summary", "models": v.verified, "files": v.files,
			"not_verified": models - v.verified,
			"read":         !v.verifier.Attested && !v.verifier.Server, "bytes": v.progress.BytesRecorded.Load(),
			"bytes_hashed_by_server": v.verifier.Hashed.Load(), "damaged": v.damaged, "repaired": v.repaired})
	} else {
		if unfinished := models - v.verified - v.foreign; unfinished > 0 {
			v.printf("%s could not be verified completely\n", plural(unfinished, "model"))
		}
		if v.files > 0 {
			v.printf("%s verified that are stored whole\n", plural(v.files, "file"))
		}
		v.printf("%s verified, %s %s: %d damaged or missing, %d repaired\n", plural(v.verified, "model"),
			human(v.progress.BytesRecorded.Load()), v.how(), v.damaged, v.repaired)
	}
	if v.damaged > 0 {
		return &codeError{code: exitDamage}
	}
	return nil
}
