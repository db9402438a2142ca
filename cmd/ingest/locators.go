package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/migrate"
)

type locatorFlags struct {
	to, root, modality, since string
	maps                      []string
	limit                     int
	split, clear, back        bool
	readBack, dryRun          bool
	ingestion                 ingestFlags
}

func newMigrateLocators(p *program) *cobra.Command {
	f := &locatorFlags{ingestion: ingestFlags{segment: ingest.DefaultSegmentBytes}}
	c := &cobra.Command{
		Use:   "locators --to ADDRESS",
		Short: "Copy files that are only at a path into rows or a store",
		Long: `Copy the files whose path is in a row of Atoms (PayloadLocator) into the rows (--to row: Atoms.Payload)
or into a store (Atoms.BlobUri). Rows that have a payload or an address, or whose content is stored in segments,
do not change. --split ingests each file as a model, in segments, instead of copying it.

Each file is read and hashed, and must have the SHA-256 of its name (sha256-...), Metadata.ollama_digest and
ContentHash. A ContentHash that is the hash of the path is corrected. If another row has the correct hash, the
two rows are merged, with all references to them. A copy is checked before its row changes.

PayloadLocator stays until --clear-locators, which first reads every copy in full. The files stay. A damaged copy
whose file is intact is removed from its row, and the next run copies the file again. The path of a file that is
stored in segments stays: 'ingest verify' reads those.

--back, instead of --to, undoes this. It reads the file of each row with a copy. If the file has the SHA-256 in
ContentHash, the row loses its payload or address, and keeps its path. A row whose path was cleared gets it again
from file_path in Metadata, if it was registered (load_on_demand). A row whose file is missing keeps its copy.
ingest gc deletes the payloads in a store, and ingest rm the models of --split.

--to azblob://ACCOUNT, without a container, copies models to the container models, and other files to atoms.

After an interruption, ` + "`ingest resume`" + ` or the same command continues. Several processes share the work.

` + exitCodes,
		Example: "  ingest migrate locators --to azblob://account --dry-run\n" +
			`  ingest migrate locators --to azblob://account --map 'D:\Models\=/mnt/models/' --root /mnt/models` +
			"\n  ingest migrate locators --to azblob://account --clear-locators\n" +
			"  ingest migrate locators --to dir:/mnt/payloads --split\n" +
			`  ingest migrate locators --back --map 'D:\Models\=/mnt/models/' --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.migrateLocators(c, f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.to, "to", "", "where files go: row, dir:PATH, azblob://ACCOUNT or azblob://ACCOUNT/CONTAINER")
	flags.BoolVar(&f.split, "split", false, "ingest each file as a model, in segments, instead of copying it")
	flags.StringArrayVar(&f.maps, "map", nil, "where a path is on this machine: `FROM=TO`, such as "+
		`'D:\Models\=/mnt/models/'; repeatable, the longest FROM wins`)
	flags.StringVar(&f.root, "root", "", "refuse files outside of this folder")
	flags.StringVar(&f.modality, "modality", "", "migrate rows of this Modality only, such as model")
	flags.StringVar(&f.since, "since", "", "migrate rows created at or after this date only (2006-01-02)")
	flags.IntVar(&f.limit, "limit", 0, "migrate at most this many rows (0: all)")
	flags.BoolVar(&f.clear, "clear-locators", false, "clear PayloadLocator of intact copies")
	flags.BoolVar(&f.back, "back", false, "remove the copies of intact files from their rows, and set cleared paths "+
		"again")
	flags.BoolVar(&f.readBack, "read-back", false, "read every copy back, even if the store attests its checksum")
	flags.BoolVar(&f.dryRun, "dry-run", false, "report what would be migrated and which rows have faults; "+
		"change nothing")
	return c
}

func (p *program) migrateLocators(c *cobra.Command, f *locatorFlags) error {
	ctx := c.Context()
	l, err := p.locators(f)
	if err != nil {
		return err
	}
	catalog, err := p.openExisting(ctx)
	if err != nil {
		return err
	}
	defer catalog.Close()
	l.Catalog = catalog
	// Blocks of 8 MiB for a store of blobs use the memory that the pool does not.
	p.blobs.calls = int(min(8, max(1, l.Pool.Limit()*3/4/(8<<20)-1)))
	target, given := "path", map[string]string{"store": inRows, "root": f.root}
	if p.store != "" && p.store != f.to && !f.split { // it has earlier copies
		if given["store"], err = p.storeName(); err != nil {
			return err
		}
	}
	if !f.back {
		stores, err := p.openFileStores(ctx, f)
		if err != nil {
			return err
		}
		l.To, l.At, target = stores.to, stores.holder, stores.name
		given["to"] = target
	}
	if !f.dryRun {
		if l.Options, err = commandOption(c, given); err != nil {
			return err
		}
	}
	if f.split {
		s, err := p.splitter(ctx, f, catalog, l.Pool)
		if err != nil {
			return err
		}
		l.Split = s.ingest
	}
	stop := p.showProgress(l.Progress)
	report, err := l.Run(ctx)
	stop()
	p.printLocators(report, f, target)
	return p.endMigration(ctx, catalog, l.Options, err, report.Failed)
}

// locators returns the settings of the flags.
func (p *program) locators(f *locatorFlags) (*migrate.Locators, error) {
	l := &migrate.Locators{Modality: f.modality, Limit: f.limit, Clear: f.clear, Back: f.back,
		ReadBack: f.readBack, DryRun: f.dryRun, Pool: p.pool(), Progress: &ingest.Progress{}, Log: p.log,
		Found: p.printLocatorProblem}
	var err error
	if l.Since, err = parseSince(f.since); err != nil {
		return nil, err
	}
	for _, text := range f.maps {
		m, err := migrate.ParseMapping(text)
		if err != nil {
			return nil, usage("--map %w", err)
		}
		l.Paths.Maps = append(l.Paths.Maps, m)
	}
	if f.root != "" {
		if f.root, err = filepath.Abs(f.root); err != nil {
			return nil, err
		}
		l.Paths.Root = f.root
	}
	switch {
	case f.limit < 0:
		return nil, usage("--limit %d: want 0 or more", f.limit)
	case f.back && (f.to != "" || f.split || f.clear || f.readBack):
		return nil, usage("--back excludes --to, --split, --clear-locators and --read-back")
	case f.back:
		return l, nil
	case f.split && f.clear:
		return nil, usage("--split --clear-locators: paths of files that are stored in segments are not cleared")
	case f.to == "":
		return nil, usage("--to is missing: want row, dir:PATH or azblob://ACCOUNT; or --back")
	case p.blobs.byPosition() && !f.split:
		return nil, usage("--blob-layout position is for segments: blobs of files have the names of the files")
	}
	if err := expandAddress("--to", &f.to); err != nil {
		return nil, err
	}
	return l, checkStore("--to", f.to)
}

func (p *program) printLocatorProblem(b migrate.LocatorProblem) {
	event, text := "refused", "ingest: not migrated: atom %d  %s: %v\n"
	if b.Notice {
		event, text = "notice", "ingest: note: atom %d  %s: %v\n"
	}
	if p.json {
		p.printJSON(locatorObject{event, b.Atom.ID, b.Atom.Locator, b.Atom.Modality, b.Atom.Digest, b.Reason.Error()})
		return
	}
	fmt.Fprintf(p.stderr, text, b.Atom.ID, ingest.Printable(b.Atom.Locator), b.Reason)
}

func (p *program) printLocators(r *migrate.LocatorReport, f *locatorFlags, target string) {
	if p.json {
		p.printJSON(locatorsSummary{newSummary(), target, r.Moved, r.Linked, r.Cleared, r.Back, r.There, r.Corrected,
			r.Merged, r.Failed, f.dryRun})
		return
	}
	moved, cleared, corrected, removed := "copied", "cleared the path of", "corrected", "removed"
	if f.dryRun {
		moved, cleared, corrected, removed = "would copy", "would clear the path of", "would correct", "would remove"
	}
	if f.back {
		p.printf("%s the copies of %s from their rows\n", removed, filesOf(r.Back))
	} else {
		p.printf("%s %s to %s\n", moved, filesOf(r.Moved), ingest.Printable(target))
	}
	if r.Linked.Rows > 0 {
		p.printf("%s already stored, not copied\n", filesOf(r.Linked))
	}
	if r.Corrected > 0 {
		p.printf("%s the ContentHash of %s\n", corrected, plural(int(r.Corrected), "row"))
	}
	if r.Merged > 0 {
		p.printf("merged %s with another row of the same content\n", plural(int(r.Merged), "row"))
	}
	if f.clear {
		p.printf("%s %s\n", cleared, filesOf(r.Cleared))
	}
	if r.There.Rows > 0 {
		p.printf("%s stored by earlier runs\n", filesOf(r.There))
	}
	if left := r.Moved.Rows + r.Linked.Rows; left > 0 && !f.clear && !f.dryRun && !f.split {
		p.printf("the rows keep their paths: --clear-locators clears them\n")
	}
	if r.Failed > 0 {
		p.printf("%s not migrated, each named above: the next run tries them again\n", plural(int(r.Failed), "row"))
	}
}

func filesOf(c migrate.Count) string {
	return fmt.Sprintf("%s, %s", plural(int(c.Rows), "file"), human(c.Bytes))
}
