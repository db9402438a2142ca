package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/describe"
	"github.com/hartonomous/ingest/ingest/migrate"
)

type migrateFlags struct {
	to                      string
	models                  []string
	since                   string
	clear, readBack, dryRun bool
	limit, batchRows        int64
	batchBytes              byteSize
}

func newMigrate(p *program) *cobra.Command {
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Move payloads between rows and a store",
		Args:  knownCommand,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newMigrateSegments(p), newMigrateLocators(p))
	return c
}

func newMigrateSegments(p *program) *cobra.Command {
	f := &migrateFlags{}
	c := &cobra.Command{
		Use:   "segments --to ADDRESS",
		Short: "Move the payloads of segments from rows to a store, or back",
		Long: `Copy the payloads of segments from rows (LayerTensorSegments.RawPayload, FileSegments.RawPayload) to a
store, or with --to row from --store to the rows. Each copy is read back and compared with its SHA-256 before the
row changes. Payloads stay readable during the migration. Until you clear the source, they are in both places.
Rows that another program wrote without a digest get one when they are copied to a store. Payloads of up to 32 KiB
that a SQLite catalogue keeps itself stay there, and count as already there.

--clear-source reads every copy again, and clears the source of intact copies: RawPayload becomes 0x, so
programs that read RawPayload no longer find the payload; or with --to row the address is removed, and
` + "`ingest gc`" + ` deletes the payload in the store. To go back before that, migrate in the other direction with
--clear-source: the payloads are already there, so nothing is copied.

Clearing rows does not free their space at once: what frees it is printed at the end. With FILESTREAM,
--clear-source also runs one pass of the server's garbage collector, if the login is in db_owner.

After an interruption, ` + "`ingest resume`" + ` or the same command continues. Several processes share the work, one
model each.

` + exitCodes,
		Example: "  ingest migrate segments --to azblob://account/container --dry-run\n" +
			"  ingest migrate segments --to azblob://account/container\n" +
			"  ingest migrate segments --to azblob://account/container --clear-source\n" +
			"  ingest migrate segments --to row --store dir:/mnt/payloads --model llama3:8b",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.migrateSegments(c, f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.to, "to", "", "where payloads go: dir:PATH, azblob://ACCOUNT/CONTAINER or row")
	flags.StringArrayVar(&f.models, "model", nil, "migrate this `model` only; repeatable")
	flags.StringVar(&f.since, "since", "", "migrate models ingested at or after this date only (2006-01-02)")
	flags.BoolVar(&f.clear, "clear-source", false, "clear the source of intact copies")
	flags.BoolVar(&f.readBack, "read-back", false, "read every copy back, even if the store attests its checksum")
	flags.Int64Var(&f.limit, "limit", 0, "copy at most this many payloads (0: all)")
	flags.Int64Var(&f.batchRows, "batch-rows", migrate.MaxBatchRows,
		"maximum number of rows that one transaction changes")
	f.batchBytes = migrate.MaxBatchBytes
	flags.Var(&f.batchBytes, "batch-bytes", "maximum bytes of payloads that one transaction changes")
	flags.BoolVar(&f.dryRun, "dry-run", false, "count what would be migrated, and change nothing")
	return c
}

func (p *program) migrateSegments(c *cobra.Command, f *migrateFlags) error {
	ctx := c.Context()
	since, err := parseSince(f.since)
	if err != nil {
		return err
	}
	if f.limit < 0 || f.batchRows < 1 || f.batchRows > migrate.MaxBatchRows || f.batchBytes < 1 ||
		f.batchBytes > migrate.MaxBatchBytes {
		return usage("--limit %d, --batch-rows %d, --batch-bytes %s: want 0 or more, 1 to %d, and 1 to 64 MiB", f.limit,
			f.batchRows, f.batchBytes.String(), migrate.MaxBatchRows)
	}
	e, err := p.openMigration(ctx, f)
	if err != nil {
		return err
	}
	defer e.catalog.Close()
	store, err := p.storeName()
	if err != nil {
		return err
	}
	target, given := store, map[string]string{"to": store, "store": inRows}
	if f.to == inRows {
		target, given = inRows, map[string]string{"store": store}
	}
	var options map[string]string // a dry run has no jobs
	if !f.dryRun {
		if options, err = commandOption(c, given); err != nil {
			return err
		}
	}
	models, err := modelsToMigrate(ctx, e.catalog, f.models, since)
	if err != nil {
		return err
	}
	s := &migrate.Segments{Catalog: e.catalog, Store: e.store, Target: target, ToRows: f.to == inRows,
		Clear: f.clear, ReadBack: f.readBack, DryRun: f.dryRun, Limit: f.limit, BatchRows: f.batchRows,
		BatchBytes: int64(f.batchBytes), Options: options, Pool: p.pool(), Progress: &ingest.Progress{}, Log: p.log,
		Found: func(b migrate.Problem) { p.printMigrationProblem("not migrated", b) }}
	addTotals(s.Progress, models...)
	stop := p.showProgress(s.Progress)
	report, err := s.Run(ctx, models)
	stop()
	if err == nil && f.to != inRows && !f.dryRun && e.descriptions != nil {
		p.describeMigrated(ctx, e, models)
	}
	p.printMigration(report, f, target)
	if err == nil && report.Cleared.Rows > 0 && !f.dryRun && f.to != inRows {
		p.printUnfreed(e.catalog.Unfreed(ctx))
	}
	p.printSummary(segmentsSummary{newSummary(), report.Models, target, report.Copied, report.Cleared, report.There,
		report.Small, report.Both, report.Failed, f.dryRun})
	return p.endMigration(ctx, e.catalog, options, err, report.Failed)
}

// describeMigrated describes models in the store to which their payloads were copied.
func (p *program) describeMigrated(ctx context.Context, e *env, models []ingest.Summary) {
	var complete []ingest.ModelID
	for _, m := range models {
		if m.State == ingest.ModelComplete {
			complete = append(complete, m.ID)
		}
	}
	keeper := describe.Keeper{Catalog: e.catalog, Store: e.descriptions}
	if err := keeper.Update(ctx, complete, nil); err != nil {
		p.warnOutdated(err)
	}
}

var errNoStore = errors.New("this catalogue has no payloads in a store")

// openMigration opens the catalogue and the store that is the target or the source.
func (p *program) openMigration(ctx context.Context, f *migrateFlags) (*env, error) {
	if err := expandAddress("--to", &f.to); err != nil {
		return nil, err
	}
	switch {
	case f.to == "":
		return nil, usage("--to is missing: want dir:PATH, azblob://ACCOUNT/CONTAINER or row")
	case f.to == inRows && p.store == inRows:
		return nil, usage("--to row --store row: name the store that has the payloads with --store")
	case f.to != inRows && p.store != "" && p.store != inRows && p.store != f.to:
		return nil, usage("--to %s --store %s: payloads move between rows and a store; migrate to rows first",
			redact(f.to), redact(p.store))
	}
	if err := checkStore("--to", f.to); err != nil {
		return nil, err
	}
	if f.to == inRows {
		e, err := p.open(ctx)
		if err == nil && e.store == nil {
			err = cmp.Or(p.requireStore(ctx, e), errNoStore)
			e.catalog.Close()
		}
		return e, err
	}
	if _, err := p.requireCatalog(ctx); err != nil {
		return nil, err
	}
	p.store = f.to
	return p.openNew(ctx)
}

// modelsToMigrate returns the models of references, or all complete models since a time.
func modelsToMigrate(ctx context.Context, catalog ingest.Reader, references []string,
	since time.Time) (models []ingest.Summary, err error) {
	if len(references) == 0 {
		for m, err := range catalog.Models(ctx) {
			if err != nil {
				return nil, err
			}
			if m.State == ingest.ModelComplete && !m.Ingested.Before(since) {
				models = append(models, m)
			}
		}
		return models, nil
	}
	for _, reference := range references {
		m, err := ingest.FindModel(ctx, catalog, reference)
		if err == nil && m.State == ingest.ModelRegistered {
			err = fmt.Errorf("model %d is registered, and has no segments: `ingest migrate locators` moves its files",
				m.ID)
		} else if err == nil && m.State != ingest.ModelComplete {
			err = fmt.Errorf("model %d is not complete: `ingest resume` continues it", m.ID)
		}
		if err != nil {
			return nil, err
		}
		models = append(models, m)
	}
	return models, nil
}

// parseSince parses --since. The zero time means no limit.
func parseSince(text string) (since time.Time, err error) {
	if text == "" {
		return since, nil
	}
	if since, err = time.Parse(time.DateOnly, text); err != nil {
		return since, usage("--since %q: want a date, such as 2026-01-31", text)
	}
	return since, nil
}

// printMigrationProblem prints a row that is not what a command wanted it to be.
func (p *program) printMigrationProblem(not string, b migrate.Problem) {
	s := b.Segment
	if p.json {
		p.printJSON(refusedRow{"refused", b.File.Model, b.File.Name, s.Tensor, s.Layer, s.Ordinal, s.Offset, s.Bytes,
			s.Digest, b.Reason.Error()})
		return
	}
	fmt.Fprintf(p.stderr, "ingest: %s: model %d  %s: %v\n", not, b.File.Model, inFile(b.File, s.Place()), b.Reason)
}

func (p *program) printMigration(r *migrate.Report, f *migrateFlags, target string) {
	copied, cleared := "copied", "cleared the source of"
	if f.dryRun {
		copied, cleared = "would copy", "would clear the source of"
	}
	p.printf("%s %s to %s\n", copied, countOf(r.Copied), ingest.Printable(target))
	if f.clear {
		p.printf("%s %s\n", cleared, countOf(r.Cleared))
	}
	if r.There.Rows > 0 {
		small := ""
		if r.Small.Rows > 0 {
			small = fmt.Sprintf(", %d of them small ones that the catalogue keeps", r.Small.Rows)
		}
		p.printf("%s already there%s\n", countOf(r.There), small)
	}
	if both := r.Copied.Rows + r.Both.Rows - r.Cleared.Rows; both > 0 && !f.dryRun {
		p.printf("%s in both places: --clear-source clears the source\n", plural(int(both), "payload"))
	}
	if r.Failed > 0 {
		p.printf("%s not migrated, each named above: the next run tries them again\n", plural(int(r.Failed), "payload"))
	}
}

func countOf(c migrate.Count) string {
	return fmt.Sprintf("%s, %s", plural(int(c.Rows), "payload"), human(c.Bytes))
}
