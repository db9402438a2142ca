// Package register catalogues model files where they are, without copying them.
//
// A registered model has the rows of an ingested one, without segments: the atom of each file has
// its path. Each file is read once, for its digest. With TrustNames, a file whose name claims a
// digest is not read, and its row says so.
//
// Each model is registered in one transaction. After a kill, the next run registers those that are
// missing.
package register

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/lease"
	"github.com/hartonomous/ingest/ingest/source"
)

// Registrar registers models. Its fields are set once, before Run.
type Registrar struct {
	Catalog ingest.Catalog
	// Parse opens a source's files and reads their headers. The error of one file is a *SourceError.
	Parse func(context.Context, ingest.Source) (*ingest.Model, error)
	// TrustNames takes the digest of a file from its name if that claims one, and does not read the
	// file.
	TrustNames bool
	Progress   *ingest.Progress
	Log        *slog.Logger // may be nil
}

// Report describes what a run did.
type Report struct {
	Job        int64
	Registered []Outline
	Skipped    []ingest.Note // unchanged registered or stored models, and files that are skipped on purpose
	Refused    []ingest.Note // files that were refused or failed
	Warnings   []ingest.Note
	BytesRead  int64
	Elapsed    time.Duration
}

// Outline is a model that was registered.
type Outline struct {
	Model ingest.ModelID
	Name  string
	Files int
	Bytes int64
	// Stored means that a complete model has all of the files, and got another name.
	Stored bool
	// Trusted is the number of files that were not read.
	Trusted int
}

// run is one call of Run.
type run struct {
	*Registrar
	job    ingest.Lease
	report Report
	left   int // files that the search skipped; the others in report.Skipped are registered or stored
}

// Run registers the sources in order, as the job that request asks for. A file that is refused is
// in the report. An error means that the run could not continue or that ctx ended; registered
// models stay. The report is nil if the job could not be opened.
func (g *Registrar) Run(ctx context.Context, request ingest.JobRequest, found ingest.Found) (*Report, error) {
	begun := time.Now()
	r := &run{Registrar: g, report: Report{Skipped: found.Skipped, Refused: found.Refused},
		left: len(found.Skipped)}
	err := lease.Run(ctx, g.Catalog, request, g.Log, func(ctx context.Context, job ingest.Lease) error {
		r.job, r.report.Job = job, job.Job
		return r.all(ctx, found.Sources)
	}, r.outcome)
	if r.job.Job == 0 {
		return nil, err
	}
	r.report.BytesRead = g.Progress.BytesRead.Load()
	r.report.Elapsed = time.Since(begun)
	byPath := func(a, b ingest.Note) int { return strings.Compare(a.Path, b.Path) }
	slices.SortStableFunc(r.report.Refused, byPath)
	slices.SortStableFunc(r.report.Skipped, byPath)
	slices.SortStableFunc(r.report.Registered, func(a, b Outline) int { return cmp.Compare(a.Model, b.Model) })
	return &r.report, err
}

// outcome returns the outcome of the job.
func (r *run) outcome(failure error) ingest.Outcome {
	if failure != nil || len(r.report.Refused) == 0 {
		return lease.Outcome(failure)
	}
	outcome := ingest.Outcome{State: ingest.JobFailed,
		Succeeded: int64(len(r.report.Registered) + len(r.report.Skipped) - r.left)}
	for _, note := range r.report.Refused {
		outcome.Problems = append(outcome.Problems, note.Problem())
	}
	return outcome
}

// all registers the sources. A refused one does not stop the others.
func (r *run) all(ctx context.Context, sources []ingest.Source) error {
	sizes := make([]int64, len(sources))
	for i, s := range sources {
		for _, f := range s.Files {
			if info, err := source.Stat(f.Path, f.Root); err == nil {
				sizes[i] += info.Size()
			}
		}
		r.Progress.BytesTotal.Add(sizes[i])
		r.Progress.FilesTotal.Add(int64(len(s.Files)))
	}
	done := int64(0)
	for i, s := range sources {
		err := r.source(ctx, s)
		var trouble *ingest.SourceError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &trouble):
			r.report.Refused = append(r.report.Refused, ingest.Note{Path: trouble.Path, Reason: trouble})
		case err != nil:
			return err
		}
		done += sizes[i]
		r.Progress.BytesRecorded.Store(done)
		r.Progress.FilesDone.Add(int64(len(s.Files)))
	}
	return nil
}

// source registers one model, unless it is registered or stored already.
func (r *run) source(ctx context.Context, s ingest.Source) error {
	files := make([]knownFile, len(s.Files))
	for i, f := range s.Files {
		var err error
		if files[i], err = r.known(ctx, f); err != nil {
			return err
		}
	}
	if reason, err := r.skip(ctx, s, files); err != nil || reason != nil {
		if reason != nil {
			r.report.Skipped = append(r.report.Skipped, ingest.Note{Path: s.Files[0].Path, Reason: reason})
		}
		return err
	}
	model, err := r.Parse(ctx, s)
	if err != nil {
		return err
	}
	r.report.Warnings = append(r.report.Warnings, model.Warnings()...)
	content := make([]ingest.FileContent, len(model.Files))
	for i := range model.Files {
		if content[i], err = r.content(ctx, model.Name, &model.Files[i], files[i]); err != nil {
			return err
		}
	}
	return r.register(ctx, model, content)
}

func (r *run) register(ctx context.Context, model *ingest.Model, content []ingest.FileContent) error {
	id, err := r.Catalog.Register(ctx, r.job, model, content)
	if err != nil {
		return fmt.Errorf("register model %q: %w", model.Name, err)
	}
	now, err := r.Catalog.Model(ctx, id)
	if err != nil {
		return err
	}
	o := Outline{Model: id, Name: model.Name, Files: len(model.Files), Stored: now.State == ingest.ModelComplete}
	for i := range model.Files {
		o.Bytes += model.Files[i].Bytes
		if content[i].Trusted {
			o.Trusted++
		}
	}
	r.report.Registered = append(r.report.Registered, o)
	return nil
}

// knownFile is the catalogue's record of a file with the path, size and time of the one on disk.
type knownFile struct {
	ingest.StoredFile // without an ID if there is none
	trusted           bool
	lost              bool // its atom has another path, where the file no longer is
}

// known looks a file up in the catalogue.
func (r *run) known(ctx context.Context, f ingest.SourceFile) (k knownFile, err error) {
	info, err := source.Stat(f.Path, f.Root)
	if err != nil {
		return k, &ingest.SourceError{Path: f.Path, Offset: -1, Err: err}
	}
	for _, ask := range []func(context.Context, string, int64, int64) (ingest.StoredFile, error){r.Catalog.Unchanged,
		r.Catalog.Registered} {
		stored, err := ask(ctx, f.Path, info.Size(), info.ModTime().UnixNano())
		if errors.Is(err, ingest.ErrNotFound) {
			continue
		}
		if err != nil {
			return k, err
		}
		if !f.Expected.IsZero() && f.Expected != stored.Digest {
			return k, nil
		}
		k.StoredFile = stored
		k.Modified = info.ModTime() // stored may have the time of a copy at another path
		if stored.Whole {
			err = r.look(ctx, f, &k)
		}
		return k, err
	}
	return k, nil
}

// look completes k, a registered file, from its atom.
func (r *run) look(ctx context.Context, f ingest.SourceFile, k *knownFile) error {
	atom, err := r.Catalog.FileAtom(ctx, k.Atom)
	if err != nil {
		return err
	}
	if k.trusted = k.Trusted || atom.Trusted(); k.trusted && !r.TrustNames { // read it now
		*k = knownFile{}
		return nil
	}
	if atom.HasCopy() || atom.InSegments || atom.Locator == source.Real(f.Path) {
		return nil
	}
	info, err := source.Stat(atom.Locator, filepath.Dir(atom.Locator))
	k.lost = err != nil || info.Size() != k.Bytes
	return nil
}

// skip returns the reason to skip a source: a model has its name, if any, and all of its unchanged
// files. It returns nil to register the source.
func (r *run) skip(ctx context.Context, s ingest.Source, files []knownFile) (reason error, err error) {
	for i := range files {
		if files[i].ID == 0 || files[i].lost {
			return nil, nil
		}
	}
	m, err := r.Catalog.Model(ctx, files[0].Model)
	if err != nil {
		return nil, err
	}
	for i, f := range s.Files {
		if !slices.ContainsFunc(m.Files, func(o ingest.StoredFile) bool {
			return o.Digest == files[i].Digest && o.Role == f.Role
		}) {
			return nil, nil
		}
	}
	if s.Name != "" && !slices.ContainsFunc(m.Names, func(n ingest.Name) bool { return n.Name == s.Name }) {
		return nil, nil
	}
	how := "registered"
	if m.State == ingest.ModelComplete {
		how = "stored"
	}
	return fmt.Errorf("%s already as model %d, and unchanged", how, m.ID), nil
}
