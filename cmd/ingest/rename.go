package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/remove"
)

func newRename(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "rename MODEL NAME",
		Short: "Rename a model",
		Long: `Rename a model. If the model has several names, MODEL must be the name to change.

The new name must be unused, and must not be a number, 64 hexadecimal digits, or sha256: with six to
64 digits.

` + modelArgument,
		Example: "  ingest rename model-Q4_K_M.gguf llama3:8b-q4\n  ingest rename 7 tiny",
		Args:    requireArg("MODEL", cobra.ExactArgs(2)),
		RunE:    func(c *cobra.Command, args []string) error { return p.rename(c.Context(), args[0], args[1]) },
	}
}

func (p *program) rename(ctx context.Context, reference, name string) error {
	if err := remove.CheckName(name); err != nil {
		return usage("%w", err)
	}
	catalog, err := p.openExisting(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close()
	sum := renameSummary{summaryHead: newSummary()}
	defer func() { p.printSummary(sum) }()
	renamer := remove.Renamer{Catalog: catalog, Descriptions: p.toDescribe(ctx, catalog), Outdated: p.warnOutdated,
		Log: p.log}
	m, from, err := renamer.Rename(ctx, p.request("rename", []string{reference, name}), reference, name)
	if err != nil {
		return err
	}
	if from != name {
		sum.Names++
	}
	if p.json || !p.quiet {
		text := fmt.Sprintf("renamed  model %d  %s to %s", m.ID, ingest.Printable(from), ingest.Printable(name))
		if from == name {
			text = fmt.Sprintf("unchanged  model %d  %s", m.ID, ingest.Printable(name))
		}
		p.emit(renamedObject{"renamed", m.ID, from, name}, "%s\n", text)
	}
	return nil
}
