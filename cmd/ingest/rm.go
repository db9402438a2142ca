package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/remove"
)

func newRm(p *program) *cobra.Command {
	var f rmFlags
	c := &cobra.Command{
		Use:   "rm MODEL...",
		Short: "Remove models, or names of models",
		Long: `Remove models from the catalogue. If MODEL is one of several names of a model, rm removes only that
name.

rm lists what it would remove, and asks before it removes anything; without a terminal it needs --yes.
Payloads in the store remain until ` + "`ingest gc --yes`" + ` deletes those that no other model needs. Payloads in
rows are deleted at once. The files of a registered model stay at their paths. rm does not start while a
job is running. If rm is interrupted, ` + "`ingest rm ID`" + ` or gc finishes the removal.

rm refuses to remove a model that rows of other programs refer to. With --cascade it removes them too,
except rows that refer to each other. Only ` + "`ingest rm ID --cascade`" + ` finishes such a removal.

` + modelArgument + "\n\n" + exitCodes,
		Example: "  ingest rm llama3:8b\n  ingest rm 7 12 --dry-run\n  ingest rm tiny --yes",
		Args:    requireArg("MODEL", cobra.MinimumNArgs(1)),
		RunE:    func(c *cobra.Command, args []string) error { return p.rm(c.Context(), f, args) },
	}
	c.Flags().BoolVar(&f.yes, "yes", false, "remove without asking")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "list what rm would remove, and remove nothing")
	c.Flags().BoolVar(&f.cascade, "cascade", false, "also remove rows of other programs that refer to the models")
	return c
}

type rmFlags struct{ yes, dryRun, cascade bool }

func (p *program) rm(ctx context.Context, f rmFlags, references []string) error {
	if f.yes && f.dryRun {
		return usage("--yes and --dry-run are mutually exclusive")
	}
	catalog, err := p.openExisting(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close()
	plan, err := remove.NewPlan(ctx, catalog, references)
	if err != nil {
		return err
	}
	sum := rmSummary{summaryHead: newSummary(), Models: len(plan.Models), Names: len(plan.Names)}
	sum.BytesFreed, _ = plan.Freed()
	defer func() { p.printSummary(sum) }()
	ask := !f.yes && !f.dryRun && !p.json && isTerminal(os.Stdin)
	p.printRmPlan(plan, ask)
	if err := plan.Refusal(f.cascade); err != nil {
		return fmt.Errorf("%w\nNothing was removed", err)
	}
	switch {
	case f.dryRun:
		p.printRmTotals(plan, false)
		return nil
	case ask:
		if err := p.confirm(ctx, rmQuestion(plan)); err != nil {
			return err
		}
	case !f.yes:
		return usage("rm cannot ask for confirmation here: add --yes to remove, or --dry-run to list only")
	}
	sum = rmSummary{summaryHead: newSummary()} // of what is removed, also after an error
	remover := remove.Remover{Catalog: catalog, Cascade: f.cascade, Descriptions: p.toDescribe(ctx, catalog),
		Outdated: p.warnOutdated, Log: p.log,
		Removed:     func(m ingest.Removal) { p.removed(m, &sum) },
		RemovedName: func(n remove.Name) { p.removedName(n, plan, &sum) }}
	if err := remover.Run(ctx, p.request("rm", references), plan); err != nil {
		return err
	}
	p.printRmTotals(plan, true)
	return nil
}

// request returns the request for a job of a command that writes to the catalogue.
func (p *program) request(command string, arguments []string) ingest.JobRequest {
	return ingest.JobRequest{Pipeline: command, Source: command, Paths: arguments}
}

// confirm asks on the terminal. It returns an error unless the answer is yes.
func (p *program) confirm(ctx context.Context, question string) error {
	fmt.Fprintf(p.stderr, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // an interrupt does not end the read
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case line := <-answer:
		if line == "y" || line == "yes" {
			return nil
		}
		return errors.New("nothing was removed")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func rmQuestion(plan *remove.Plan) string {
	var what []string
	if n := len(plan.Models); n > 0 {
		what = append(what, plural(n, "model"))
	}
	if n := len(plan.Names); n > 0 {
		what = append(what, plural(n, "name"))
	}
	return "Remove " + strings.Join(what, " and ") + "?"
}
