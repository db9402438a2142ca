package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
)

func newVerify(p *program) *cobra.Command {
	var repair string
	var read, server bool
	c := &cobra.Command{
		Use:   "verify [MODEL]",
		Short: "Read payloads back and hash them; say which segment is damaged or missing",
		Long: `Read every payload of a model, or of all complete models, and compare it with its SHA-256. Each
segment that is damaged or missing is named with its tensor. With --repair, the good bytes are written
again from a copy of the file. A store of blobs is asked about each blob instead, unless --read is given:
that it is there, of the right size and digest by its metadata, and not written since. This proves nothing
of bytes that the service itself has lost. A blob that was written since is read back. With --server, SQL Server hashes the payloads in
its rows, and none of them travels; that together they make the file is then known from their rows alone.

` + exitCodes,
		Example: "  ingest verify\n  ingest verify llama3:latest --repair llama3.gguf",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return p.verify(c.Context(), args, repair, read, server) },
	}
	c.Flags().BoolVar(&read, "read", false, "read blobs back and hash them, instead of asking the store about them")
	c.Flags().BoolVar(&server, "server", false, "have the server hash the payloads in its rows, instead of reading them")
	c.Flags().StringVar(&repair, "repair", "", "a good copy of the model's file; of a model of several files, of the one that is damaged")
	return c
}

func (p *program) verify(ctx context.Context, args []string, repair string, read, server bool) error {
	if read && server {
		return usage("--read and --server: want one of them")
	}
	if repair != "" && len(args) == 0 {
		return usage("--repair needs the MODEL that the file is of")
	}
	h, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer h.catalog.Close()
	if err := p.requireStore(ctx, h); err != nil {
		return err
	}
	hasher, hashes := h.catalog.(ingest.Hasher)
	if server && !hashes {
		return errors.New("--server: this catalogue is a file, and has no server that could hash what is in its rows: verify without --server")
	}
	var copied *os.File
	if repair != "" {
		if copied, err = ingest.OpenSource(repair); err != nil {
			return fmt.Errorf("--repair %s: %w (for a model of several files, name the one that is damaged)", ingest.Printable(repair), err)
		}
		defer copied.Close()
	}
	models, err := modelsToVerify(ctx, h.catalog, args)
	if err != nil {
		return err
	}
	v := &verification{program: p, progress: &ingest.Progress{}}
	for _, m := range models {
		v.progress.BytesTotal.Add(totalBytes(m))
		v.progress.FilesTotal.Add(int64(len(m.Files)))
	}
	v.verifier = ingest.Verifier{Catalog: h.catalog, Payloads: h.payloads(), Options: ingest.Options{MemoryBytes: int64(p.memory)}, Read: read, Progress: v.progress}
	if copied != nil {
		v.verifier.Repair = copied
	}
	if server {
		v.hashed.Hasher = hasher
		v.verifier.Server = &v.hashed
	}
	stop := p.showProgress(v.progress)
	if copied == nil {
		err = v.all(ctx, models)
	} else {
		err = p.asRepair(ctx, h, models[0].ID, func(ctx context.Context) (int, error) {
			err := v.all(ctx, models)
			return v.damaged, err
		})
	}
	stop()
	verdict := v.finish(len(models))
	if v.rowsGone > 0 {
		fmt.Fprintln(p.stderr, "ingest: hint: rows that are gone cannot be repaired: delete the model (DELETE FROM Models WHERE ModelId = its number), and take its file in again")
	}
	if v.damaged > v.rowsGone && repair == "" {
		fmt.Fprintln(p.stderr, "ingest: hint: `ingest verify MODEL --repair FILE` writes what is damaged or missing again, from the file it came from")
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
		if err == nil && m.State != ingest.ModelComplete {
			err = fmt.Errorf("model %d is not complete: `ingest resume` goes on with it", m.ID)
		}
		if err == nil && len(m.Files) == 0 {
			err = fmt.Errorf("model %d was written by another program: no digest is recorded by which it could be verified", m.ID)
		}
		return []ingest.Summary{m}, err
	}
	var models []ingest.Summary
	for m, err := range library.Models(ctx) {
		if err != nil {
			return nil, err
		}
		if m.State == ingest.ModelComplete {
			models = append(models, m)
		}
	}
	return models, nil
}

// verification is one call of the command.
type verification struct {
	*program
	verifier          ingest.Verifier
	progress          *ingest.Progress
	verified          int // models
	foreign           int // models of other programs, of which no digest is recorded
	damaged, repaired int
	missing           int         // of damaged
	rowsGone          int         // of damaged, those of which rows are gone
	hashed            hashedThere // by the server, with --server
}

// hashedThere counts the bytes that a server has hashed.
type hashedThere struct {
	ingest.Hasher
	bytes atomic.Int64
}

func (h *hashedThere) HashPayload(ctx context.Context, piece ingest.StoredSegment) (ingest.Digest, error) {
	digest, err := h.Hasher.HashPayload(ctx, piece)
	if err == nil {
		h.bytes.Add(piece.Bytes)
	}
	return digest, err
}

// all verifies the models. One that cannot be verified does not stop the others.
func (v *verification) all(ctx context.Context, models []ingest.Summary) error {
	var failed error
	for _, m := range models {
		if len(m.Files) == 0 { // another program's
			v.foreign++
			v.emit(map[string]any{"event": "not_verified", "model": m.ID, "name": m.Name, "reason": "no digest is recorded"},
				"not verified  model %d  %s: another program wrote it, and no digest is recorded\n", m.ID, ingest.Printable(m.Name))
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

// model checks all files of a model, although one cannot be checked.
func (v *verification) model(ctx context.Context, m ingest.Summary) error {
	var failed error
	for _, file := range m.Files {
		err := v.verifier.Verify(ctx, file, func(d ingest.Damage) { v.found(m, d) })
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

func (v *verification) found(m ingest.Summary, d ingest.Damage) {
	state := "damaged"
	switch {
	case d.Repaired:
		state = "repaired"
		v.repaired++
	case d.Missing():
		state = "missing"
		v.damaged++
		v.missing++
	default:
		v.damaged++
		if errors.Is(d.Reason, ingest.ErrIncomplete) {
			v.rowsGone++
		}
	}
	place := "the file as a whole"
	if d.Piece.Bytes > 0 {
		place = d.Piece.Place()
	}
	v.emit(map[string]any{"event": state, "model": m.ID, "name": m.Name, "file": d.File.Name, "tensor": d.Piece.Tensor, "ordinal": d.Piece.Ordinal,
		"offset": d.Piece.Offset, "bytes": d.Piece.Bytes, "sha256": d.Piece.Digest, "reason": d.Reason.Error()},
		"%s  model %d  %s  %s: %v\n", state, m.ID, ingest.Printable(d.File.Name), place, d.Reason)
}

// hintStores says where payloads may lie that were not found, if there is more than one such place.
func (p *program) hintStores(ctx context.Context, jobs ingest.Jobs) error {
	used, err := ingest.UsedStores(ctx, jobs)
	if err != nil {
		return err
	}
	store, err := p.storeName()
	if len(used) > 1 || len(used) == 1 && used[0].Address != store {
		fmt.Fprintf(p.stderr, "ingest: hint: this catalogue has put payloads into %s; --store names the one to look in\n", addressesOf(used))
	}
	return err
}

// how says what was done with the payloads.
func (v *verification) how() string {
	switch {
	case v.verifier.Server != nil:
		return fmt.Sprintf("hashed, %s of them by the server", human(v.hashed.bytes.Load()))
	case v.progress.BytesAttested.Load() > 0:
		return "asked about"
	}
	return "read"
}

func (v *verification) finish(models int) error {
	if v.json {
		v.printJSON(map[string]any{"event": "summary", "models": v.verified, "not_verified": models - v.verified, "read": v.progress.BytesAttested.Load() == 0 && v.verifier.Server == nil,
			"bytes": v.progress.BytesRecorded.Load(), "bytes_hashed_by_server": v.hashed.bytes.Load(), "damaged": v.damaged, "repaired": v.repaired})
	} else {
		if unfinished := models - v.verified - v.foreign; unfinished > 0 {
			v.printf("%s could not be verified to the end\n", plural(unfinished, "model"))
		}
		v.printf("%s verified, %s %s: %d damaged or missing, %d repaired\n", plural(v.verified, "model"), human(v.progress.BytesRecorded.Load()), v.how(), v.damaged, v.repaired)
	}
	if v.damaged > 0 {
		return &codeError{code: exitDamage}
	}
	return nil
}
