package main

import (
	"cmp"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/migrate"
)

// compressHelp describes --compress.
const compressHelp = "how payloads in a store are encoded, without loss: off, auto (where it pays) or max (slower, " +
	"and a little smaller)"

func newRecompress(p *program) *cobra.Command {
	level := codec.Auto
	c := &cobra.Command{
		Use:   "recompress [MODEL...]",
		Short: "Encode stored payloads, or decode them",
		Long: `Change how the payloads of a store are encoded: those of the named models, or of all complete models.
Each payload is read, stored in its new encoding, read back and compared before its rows change. Models that share
a payload change together. The former payloads stay in the store until ` + "`ingest gc --yes`" + ` deletes them.

--compress off stores the bytes themselves. Payloads in rows and in the blob layout position are the bytes
themselves in any case, because other programs read them.

After an interruption, ` + "`ingest resume`" + ` with the number of the job or the same command continues.

` + modelArgument + "\n\n" + exitCodes,
		Example: "  ingest recompress\n  ingest recompress llama3:8b --compress max\n" +
			"  ingest recompress --compress off",
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, models []string) error { return p.recompress(c, models, level) },
	}
	c.Flags().Var(&level, "compress", compressHelp)
	return c
}

func (p *program) recompress(c *cobra.Command, references []string, level codec.Level) error {
	ctx := c.Context()
	if !p.encodes() {
		return usage("recompress changes payloads in a store: not those in rows or in the blob layout position, " +
			"which other programs read")
	}
	e, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer e.catalog.Close()
	if e.store == nil {
		return cmp.Or(p.requireStore(ctx, e), errNoStore)
	}
	store, err := p.storeName()
	if err != nil {
		return err
	}
	options, err := commandOption(c, map[string]string{"store": store}, references...)
	if err != nil {
		return err
	}
	models, err := modelsToMigrate(ctx, e.catalog, references, time.Time{})
	if err != nil {
		return err
	}
	r := &migrate.Recompress{Catalog: e.catalog, Store: e.store, Target: store, Level: level, Options: options,
		Pool: p.pool(), Workers: p.reader(e, nil).Workers, Progress: &ingest.Progress{}, Log: p.log,
		Found: func(b migrate.Problem) { p.printMigrationProblem("not changed", b) }}
	addTotals(r.Progress, models...)
	stop := p.showProgress(r.Progress)
	report, err := r.Run(ctx, models)
	stop()
	if errors.As(err, new(*buffer.TooSmallError)) {
		return usage("%w", err)
	}
	p.printRecompressed(report, level)
	return p.endMigration(ctx, e.catalog, options, err, report.Failed)
}

func (p *program) printRecompressed(r *migrate.Recompressed, level codec.Level) {
	if p.json {
		p.printJSON(recompressSummary{newSummary(), r.Models, level.String(), r.Changed, r.Before, r.After, r.Kept,
			r.Small, r.Rows, r.ByPosition, r.Failed})
		return
	}
	p.printf("%s: %s changed, %s before and %s now; %d kept as they are, and %d small ones\n",
		plural(r.Models, "model"), plural(int(r.Changed.Rows), "payload"), human(r.Before), human(r.After), r.Kept.Rows,
		r.Small.Rows)
	if r.Rows.Rows+r.ByPosition.Rows > 0 {
		p.printf("%s in rows or in the blob layout position: those are not encoded\n",
			plural(int(r.Rows.Rows+r.ByPosition.Rows), "payload"))
	}
	if r.Changed.Rows > 0 {
		p.printf("the former payloads are still in the store: `ingest gc --yes` deletes those that no row needs\n")
	}
	if r.Failed > 0 {
		p.printf("%s failed, each named above: the next run tries them again\n", plural(int(r.Failed), "payload"))
	}
}
