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
		Long: `Remove models from the catalogue. A MODEL that is one of several names of a model removes that name only.

rm lists what goes and what stays, and asks before it removes anything; without a terminal it needs
--yes. Payloads that no other model needs stay in the store until ` + "`ingest gc --yes`" + ` deletes them. Payloads
in rows go at once. Of a registered model, the rows go and the files stay. rm runs alone: not while a job is running. If it is interrupted, ` + "`ingest rm ID`" + ` or
gc finishes the removal.

Rows of other programs that refer to a model refuse its removal, unless --cascade removes them as well.

` + modelArgument + "\n\n" + exitCodes,
		Example: "  ingest rm llama3:8b\n  ingest rm 7 12 --dry-run\n  ingest rm tiny --yes",
		Args:    needs("MODEL", cobra.MinimumNArgs(1)),
		RunE:    func(c *cobra.Command, args []string) error { return p.rm(c.Context(), f, args) },
	}
	c.Flags().BoolVar(&f.yes, "yes", false, "remove without asking")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "list what would go, and remove nothing")
	c.Flags().BoolVar(&f.cascade, "cascade", false, "also remove rows of other programs that refer to the models")
	return c
}

type rmFlags struct{ yes, dryRun, cascade bool }

func (p *program) rm(ctx context.Context, f rmFlags, references []string) error {
	if f.yes && f.dryRun {
		return usage("--yes and --dry-run: want one of them")
	}
	catalog, err := p.openToRead(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close()
	plan, err := remove.NewPlan(ctx, catalog, references)
	if err != nil {
		return err
	}
	ask := !f.yes && !f.dryRun && !p.json && isTerminal(os.Stdin)
	p.printRmPlan(plan, ask)
	if err := plan.Refusal(); err != nil && !f.cascade {
		return fmt.Errorf("%w\nNothing was removed", err)
	}
	switch {
	case f.dryRun:
		p.printRmSummary(plan, false)
		return nil
	case ask:
		if err := p.confirm(ctx, rmQuestion(plan)); err != nil {
			return err
		}
	case !f.yes:
		return usage("rm asks before it removes, and there is no terminal to ask: --yes removes, --dry-run only lists")
	}
	remover := remove.Remover{Catalog: catalog, Cascade: f.cascade, Log: p.log, Removed: p.printRemoved,
		RemovedName: func(n remove.Name) { p.printRemovedName(n, plan) }}
	if err := remover.Run(ctx, p.request("rm", references), plan); err != nil {
		return err
	}
	p.printRmSummary(plan, true)
	return nil
}

// request asks for a job of a command that writes to the catalogue.
func (p *program) request(command string, arguments []string) ingest.JobRequest {
	return ingest.JobRequest{Pipeline: command, Source: command, Paths: arguments}
}

// confirm asks on the terminal. Without a yes, it returns an error.
func (p *program) confirm(ctx context.Context, question string) error {
	fmt.Fprintf(p.stderr, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // an interrupt does not end a read
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
