package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/rebuild"
)

func newRebuild(p *program) *cobra.Command {
	var takeOver bool
	c := &cobra.Command{
		Use:   "rebuild",
		Short: "Make a catalogue from a store whose catalogue is lost",
		Long: `Make a catalogue from the descriptions of models in a store, if its own catalogue is lost. After a
backup was restored, rebuild adds the models that are newer than it, and corrects rows whose payloads are
now in another encoding or in other segments.

rebuild looks for each payload, by its size and metadata, and does not read it: run verify afterwards. A
model whose description is damaged or whose payloads are missing is named, and the others are rebuilt. If
rebuild is interrupted, the same command continues.

A store belongs to one catalogue. With --take-over, the new catalogue becomes its owner: use it only if
the former catalogue no longer exists.

` + exitCodes,
		Example: "  ingest rebuild --store dir:/mnt/payloads --catalog sqlite:new.db --take-over\n" +
			"  ingest verify --store dir:/mnt/payloads --catalog sqlite:new.db",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.rebuild(c.Context(), takeOver) },
	}
	c.Flags().BoolVar(&takeOver, "take-over", false, "take the store over from a catalogue that no longer exists")
	return c
}

func (p *program) rebuild(ctx context.Context, takeOver bool) error {
	if p.store == inRows || p.blobs.byPosition() {
		return usage("rows, and blobs by position, have no descriptions of models: restore a backup of the catalogue")
	}
	if err := p.requireDescriptions(ctx); err != nil {
		return err
	}
	open := p.openFirst
	if takeOver {
		open = p.openNew
	}
	h, err := open(ctx)
	if err != nil {
		return err
	}
	defer h.catalog.Close()
	address, err := p.storeName()
	if err != nil {
		return err
	}
	r := rebuild.Rebuilder{Catalog: h.catalog, Store: h.descriptions, Address: address, Memory: int64(p.memory) / 2,
		TakeOver: takeOver,
		Rebuilt:  p.printRebuilt("rebuilt"), Present: p.printRebuilt("present"), Refused: p.printNotRebuilt}
	request := p.request("rebuild", nil)
	request.Options = map[string]string{ingest.OptionStore: address}
	sum, err := r.Run(ctx, request)
	p.printSummary(rebuildSummary{newSummary(), sum.Rebuilt, sum.Present, sum.Refused, sum.Lost, sum.Segments,
		sum.Bytes, sum.Unclaimed, sum.UnclaimedBytes})
	var owner *ingest.OwnerError
	if errors.As(err, &owner) && !takeOver {
		return fmt.Errorf("the store belongs to catalogue %s: if that catalogue no longer exists, add --take-over",
			ingest.Printable(owner.Owner))
	}
	if err != nil {
		return err
	}
	if !p.json {
		found := "found"
		if sum.Lost > 0 {
			found = "looked for"
		}
		p.printf("%s rebuilt, %d present, %d refused; %s, %s: payloads were %s, and not read: run `ingest verify`\n",
			plural(sum.Rebuilt, "model"), sum.Present, sum.Refused, plural(int(sum.Segments), "segment"),
			human(sum.Bytes), found)
	}
	if sum.Unclaimed > 0 && !sum.Garbage {
		fmt.Fprintf(p.stderr, "ingest: warning: no model has %s of the store (%s): garbage, or models without a "+
			"description, such as those of earlier versions. Ingest what is missing, and then `ingest gc --yes "+
			"--unfinished`\n", plural(int(sum.Unclaimed), "payload"), human(sum.UnclaimedBytes))
	}
	if sum.Lost > 0 {
		elsewhere := ""
		if len(sum.Others) > 0 {
			elsewhere = "; jobs of this catalogue also used " + storeNames(sum.Others)
		}
		fmt.Fprintf(p.stderr, "ingest: warning: %s in the catalogue without all payloads here: `ingest verify` names "+
			"them%s\n", plural(sum.Lost, "model"), elsewhere)
	}
	if sum.Refused+sum.Lost > 0 {
		return &codeError{code: exitSomeRefused}
	}
	return nil
}

// requireDescriptions returns an error if the store has none, before anything is made or taken over.
func (p *program) requireDescriptions(ctx context.Context) error {
	path, err := p.catalogPath()
	if err != nil {
		return err
	}
	address := p.storeURL(path)
	store, err := p.openStore(ctx, address)
	if err != nil {
		return err
	}
	for _, err := range store.Descriptions(ctx) {
		return err
	}
	return fmt.Errorf("%s has no descriptions of models, so nothing can be rebuilt, and nothing was changed: earlier "+
		"versions, and runs with --blob-layout position, wrote none. Restore a copy of the catalogue, or ingest the "+
		"files again into a new store", ingest.Printable(redact(address)))
}

// printRebuilt returns a function that prints a model with this event.
func (p *program) printRebuilt(event string) func(rebuild.Model) {
	return func(m rebuild.Model) {
		if p.json || !p.quiet {
			p.emit(rebuiltObject{event, m.ID, m.Name, m.Files, m.Bytes},
				"%s  model %d  %s  (%s in %s)\n", event, m.ID, shortName(m.Name), human(m.Bytes),
				plural(m.Files, "file"))
		}
	}
}

// printNotRebuilt names a model that could not be rebuilt.
func (p *program) printNotRebuilt(name string, err error) {
	if p.json {
		p.printJSON(notRebuilt{"refused", name, err.Error()})
		return
	}
	fmt.Fprintf(p.stderr, "ingest: refused: %s: %s\n", shortName(name), terminalSafe(err.Error()))
}
