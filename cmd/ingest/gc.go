package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/gc"
)

func newGC(p *program) *cobra.Command {
	var g gcFlags
	c := &cobra.Command{
		Use:   "gc",
		Short: "Delete payloads that no row refers to (lists them; deletes with --yes)",
		Long: `List the payloads in the store that no row refers to, and delete them with --yes. Removed models leave
such payloads, and so do runs that were killed after storing a payload and before recording it. gc
also deletes the leftovers of interrupted writes. With --unfinished, it removes unfinished models too.
Payloads in rows (--store row) are removed with their models.

gc removes nothing while the store describes models that the catalogue does not have: it may have been
restored from an older copy. rebuild adds them, and --unfinished gives them up.

gc does not start while a job is running, and no job starts while gc is running. If gc cannot delete
an object, such as a blob under a lease, or a model to which rows of other programs refer, it names it
and continues; the exit code is then 3.`,
		Example: "  ingest gc\n  ingest gc --yes\n  ingest gc --unfinished --yes",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("older-than") {
				g.olderThan = p.defaultOlderThan()
			}
			return p.gc(c.Context(), g)
		},
	}
	c.Flags().BoolVar(&g.yes, "yes", false, "delete what is listed")
	c.Flags().BoolVar(&g.unfinished, "unfinished", false,
		"also remove unfinished models, and what only the store describes")
	c.Flags().DurationVar(&g.olderThan, "older-than", 0,
		"keep objects newer than this (default a day for blobs, 0 for a folder)")
	return c
}

type gcFlags struct {
	yes, unfinished bool
	olderThan       time.Duration
}

func (g gcFlags) verb() string {
	if g.yes {
		return "removed"
	}
	return "would remove"
}

func (p *program) gc(ctx context.Context, g gcFlags) error {
	h, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer h.catalog.Close()
	if err := p.requireStore(ctx, h); err != nil {
		return err
	}
	if h.store == nil && p.store != inRows {
		store, err := p.storeName()
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stderr, "ingest: this catalogue has no payloads in %s: gc checks rows only\n",
			ingest.Printable(store))
	}
	collector := gc.Collector{Catalog: h.catalog, Store: h.store, Descriptions: h.descriptions,
		OlderThan: g.olderThan, Remove: g.yes, Unfinished: g.unfinished, Refused: p.printRefusal,
		RefusedModel: p.printRefusedModel}
	request := ingest.JobRequest{Pipeline: "gc", Source: "gc"}
	sum, err := collector.Collect(ctx, request, func(s ingest.Object) {
		if p.json || !p.quiet {
			p.emit(garbageObject{g.verb(), s.Name, s.Bytes}, "%s  %s  %s\n", g.verb(),
				human(s.Bytes), shortName(s.Name))
		}
	})
	if err != nil {
		p.printSummary(summaryOf(sum, g))
		return err
	}
	p.printCollection(sum, g)
	if sum.Instead > 0 {
		fmt.Fprintf(p.stderr, "ingest: warning: %s kept instead of ones that rows name and that are missing: `ingest "+
			"rebuild` corrects the rows\n", plural(int(sum.Instead), "payload"))
	}
	if sum.Lack != nil {
		fmt.Fprintf(p.stderr, "ingest: warning: `gc --yes` would remove nothing: %s\n", sum.Lack)
	}
	if sum.Refused > 0 {
		return &codeError{code: exitSomeRefused}
	}
	return nil
}

// printRefusal names an object that could not be deleted.
func (p *program) printRefusal(s ingest.Object, err error) {
	if p.json {
		p.printJSON(refusedGarbage{"refused", s.Name, s.Bytes, err.Error()})
		return
	}
	fmt.Fprintf(p.stderr, "ingest: not removed: %s: %v\n", shortName(s.Name), err)
}

// printRefusedModel names a model that could not be removed.
func (p *program) printRefusedModel(m ingest.Summary, err error) {
	if p.json {
		p.printJSON(refusedModel{"refused", m.ID, m.Name, err.Error()})
		return
	}
	fmt.Fprintf(p.stderr, "ingest: not removed: model %d  %s: %v\n", m.ID, shortName(m.Name), err)
}

func summaryOf(sum gc.Collection, g gcFlags) gcSummary {
	return gcSummary{newSummary(), sum.Payloads, sum.Remains, sum.Bytes, sum.Atoms, sum.AtomBytes, sum.Young,
		sum.YoungBytes, sum.Instead, sum.Refused, g.yes}
}

func (p *program) printCollection(sum gc.Collection, g gcFlags) {
	for _, m := range sum.Unfinished {
		if p.json || !p.quiet {
			bytes := m.BytesStored + m.BytesShared
			p.emit(unfinishedObject{"unfinished", m.ID, m.Name, bytes},
				"unfinished  model %d  %s  (%s recorded)\n", m.ID, shortName(m.Name), human(bytes))
		}
	}
	if p.json {
		p.printJSON(summaryOf(sum, g))
		return
	}
	p.printf("%s: %s without a row, %s of interrupted writes, %s; %s that no model uses, %s\n",
		g.verb(), plural(int(sum.Payloads), "payload"), plural(int(sum.Remains), "leftover"), human(sum.Bytes),
		plural(int(sum.Atoms), "content"), human(sum.AtomBytes))
	if sum.Young > 0 {
		p.printf("kept as too recent: %s without a row, %s (--older-than)\n", plural(int(sum.Young), "object"),
			human(sum.YoungBytes))
	}
	if sum.Refused > 0 {
		p.printf("%d could not be removed; each is named above\n", sum.Refused)
	}
	if !g.yes && g.unfinished && len(sum.Unfinished) > 0 {
		p.printf("--yes also removes %s, and the payloads that no other model needs\n",
			plural(len(sum.Unfinished), "unfinished model"))
	}
	garbage := sum.Payloads+sum.Remains+sum.Atoms > 0 || g.unfinished && len(sum.Unfinished) > 0
	if !g.yes && sum.Lack == nil && garbage {
		p.printf("nothing was removed: add --yes to remove them\n")
	}
	if len(sum.Unfinished) > 0 && !g.unfinished {
		p.printf("unfinished models keep their payloads: ingest the same files again to complete them, or add " +
			"--unfinished to remove them\n")
	}
}
