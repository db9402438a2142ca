package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

// dryRun prints what models would ingest. It reads the catalogue, if there is one, but does not open the
// store. It checks the FILESTREAM containers of SQL Server: each segment is a file there.
func (p *program) dryRun(ctx context.Context, f *ingestFlags, paths []string) error {
	options, err := p.settings(f)
	if err != nil {
		return err
	}
	found, err := p.find(ctx, f.selectFlags, paths)
	if err != nil {
		return err
	}
	totals := &dryTotals{seen: map[string]bool{}}
	if totals.catalog = p.catalogToRead(ctx); totals.catalog != nil {
		defer totals.catalog.Close()
	}
	refused, err := p.printPlans(ctx, f, options, found, totals)
	if err != nil {
		p.printSummary(totals.summary(len(found.Skipped), len(refused)))
		return err
	}
	if sqlserver.IsAddress(p.catalog) {
		err := p.withSchema(func(db *sql.DB) error { return p.containerCheck(ctx, db, totals.segments) })
		if err != nil {
			fmt.Fprintf(p.stderr, "ingest: warning: FILESTREAM containers were not checked: %s\n",
				terminalSafe(err.Error()))
		}
	}
	p.printNotes("skipped", found.Skipped)
	p.printNotes("refused", refused)
	p.printTotals(totals, len(found.Skipped), len(refused))
	if len(refused) > 0 {
		return &codeError{code: exitSomeRefused}
	}
	return requireFound(found, paths)
}

// printPlans prints the files of all models, and adds them to the totals. It returns what is refused.
func (p *program) printPlans(ctx context.Context, f *ingestFlags, options pipeline.Options, found ingest.Found,
	totals *dryTotals) (refused []ingest.Note, err error) {
	refused = found.Refused
	for _, source := range found.Sources {
		model, err := f.parser(p, options).Parse(ctx, source)
		var trouble *ingest.SourceError
		if errors.As(err, &trouble) {
			refused = append(refused, ingest.Note{Path: trouble.Path, Reason: trouble})
			continue
		}
		if err == nil {
			err = p.printPlan(ctx, model, int64(f.segment), totals)
		}
		if err != nil {
			return refused, err
		}
	}
	return refused, nil
}

// catalogToRead opens the catalogue if it exists, and does not update it. If that fails, it warns and
// returns nil.
func (p *program) catalogToRead(ctx context.Context) ingest.Catalog {
	path, err := p.catalogPath()
	if err == nil && !sqlserver.IsAddress(p.catalog) {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	catalog, err := p.openCurrent(ctx)
	if err != nil {
		fmt.Fprintf(p.stderr, "ingest: warning: the catalogue was not read, and all files count as new: %s\n",
			terminalSafe(err.Error()))
		return nil
	}
	return catalog
}

// printPlan prints one line for each file of a model, and adds it to the totals.
func (p *program) printPlan(ctx context.Context, model *ingest.Model, segmentBytes int64, totals *dryTotals) error {
	totals.models++
	for i := range model.Files {
		file := &model.Files[i]
		plan, err := ingest.NewPlan(file, segmentBytes)
		if err != nil {
			return err
		}
		present, err := totals.isPresent(ctx, file)
		if err != nil {
			return err
		}
		totals.count(file, present, plan.Count())
		verb := "would ingest"
		if present {
			verb = "already present"
		}
		p.emit(plannedObject{"would take", model.Name, file.Path, file.Role, file.Format, file.Bytes,
			len(file.Tensors), plan.Count(), present}, "%s  %s  %s  %s (%s, %s)\n", verb,
			shortName(model.Name), human(file.Bytes), ingest.Printable(file.Path),
			plural(len(file.Tensors), "tensor"), plural(int(plan.Count()), "segment"))
	}
	return nil
}
