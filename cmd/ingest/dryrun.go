package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

// dryRun prints what models would ingest. It opens neither catalogue nor store, but checks the
// FILESTREAM containers of SQL Server: each segment is a file there.
func (p *program) dryRun(ctx context.Context, f *ingestFlags, paths []string) error {
	options, err := p.settings(f)
	if err != nil {
		return err
	}
	found, err := p.find(ctx, f.selectFlags, paths)
	if err != nil {
		return err
	}
	refused := found.Refused
	var segments int64
	for _, source := range found.Sources {
		model, err := f.parser(p, options).Parse(ctx, source)
		var trouble *ingest.SourceError
		if errors.As(err, &trouble) {
			refused = append(refused, ingest.Note{Path: trouble.Path, Reason: err})
			continue
		}
		if err != nil {
			return err
		}
		planned, err := p.printPlan(model, int64(f.segment))
		if err != nil {
			return err
		}
		segments += planned
	}
	if sqlserver.IsAddress(p.catalog) {
		err := p.withSchema(func(db *sql.DB) error { return p.containerCheck(ctx, db, segments) })
		if err != nil {
			fmt.Fprintf(p.stderr, "ingest: warning: FILESTREAM containers were not checked: %s\n",
				terminalSafe(err.Error()))
		}
	}
	p.printNotes("skipped", found.Skipped)
	p.printNotes("refused", refused)
	if len(refused) > 0 {
		return &codeError{code: exitSomeRefused}
	}
	return nil
}

// printPlan prints one line for each file of a model, and returns the number of segments.
func (p *program) printPlan(model *ingest.Model, segmentBytes int64) (segments int64, err error) {
	for i := range model.Files {
		file := &model.Files[i]
		plan, err := ingest.NewPlan(file, segmentBytes)
		if err != nil {
			return 0, err
		}
		segments += plan.Count()
		p.emit(map[string]any{"event": "would take", "name": model.Name, "path": file.Path, "role": file.Role,
			"format": file.Format, "bytes": file.Bytes, "tensors": len(file.Tensors), "segments": plan.Count()},
			"would ingest  %s  %s  %s (%s, %s)\n",
			ingest.Printable(model.Name), human(file.Bytes), ingest.Printable(file.Path),
			plural(len(file.Tensors), "tensor"), plural(int(plan.Count()), "segment"))
	}
	return segments, nil
}
