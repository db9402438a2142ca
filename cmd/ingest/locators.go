package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/migrate"
	"github.com/hartonomous/ingest/ingest/pipeline"
	"github.com/hartonomous/ingest/ingest/source"
	"github.com/hartonomous/ingest/storage/azureblob"
)

type locatorFlags struct {
	to, root, modality, since      string
	maps                           []string
	limit                          int
	split, clear, readBack, dryRun bool
	ingestion                      ingestFlags
}

func newMigrateLocators(p *program) *cobra.Command {
	f := &locatorFlags{ingestion: ingestFlags{segment: ingest.DefaultSegmentBytes}}
	c := &cobra.Command{
		Use:   "locators --to ADDRESS",
		Short: "Move files that rows of Atoms have only the path of",
		Long: `Copy the files that rows of Atoms name by PayloadLocator into the rows (--to row: Atoms.Payload) or into a
store (Atoms.BlobUri). Rows that have a payload or an address, and those whose content is stored in segments,
are left alone. --split ingests each file as a model, in segments, in place of a copy.

Each file is read and hashed, and must be what its name (sha256-...), Metadata.ollama_digest and ContentHash
say. A ContentHash that is the hash of the path is corrected. If another row has the true hash, the two become
one, to which all foreign keys then refer. A copy is checked before its row changes.

PayloadLocator stays until --clear-locators, which reads every copy in full first. The files are never removed.

--to azblob://ACCOUNT, without a container, puts models into the container models, and others into atoms.

Run the same command again after an interruption or an error. Several processes share the work.

` + exitCodes,
		Example: "  ingest migrate locators --to azblob://account --dry-run\n" +
			`  ingest migrate locators --to azblob://account --map 'D:\Models\=/mnt/models/' --root /mnt/models` + "\n" +
			"  ingest migrate locators --to azblob://account --clear-locators\n" +
			"  ingest migrate locators --to dir:/mnt/payloads --split",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.migrateLocators(c.Context(), f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.to, "to", "", "where files go: row, dir:PATH, azblob://ACCOUNT or azblob://ACCOUNT/CONTAINER")
	flags.BoolVar(&f.split, "split", false, "ingest each file as a model, in segments, in place of a copy")
	flags.StringArrayVar(&f.maps, "map", nil, `where a path is on this machine: FROM=TO, such as `+
		`'D:\Models\=/mnt/models/'; repeatable, the longest FROM wins`)
	flags.StringVar(&f.root, "root", "", "refuse files outside of this folder")
	flags.StringVar(&f.modality, "modality", "", "migrate rows of this Modality only, such as model")
	flags.StringVar(&f.since, "since", "", "migrate rows created at or after this date only (2006-01-02)")
	flags.IntVar(&f.limit, "limit", 0, "migrate at most this many rows (0: all)")
	flags.BoolVar(&f.clear, "clear-locators", false, "clear PayloadLocator where the copy is right")
	flags.BoolVar(&f.readBack, "read-back", false, "read every copy back, also where the store vouches for its checksum")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be migrated and what is wrong with rows; change nothing")
	return c
}

func (p *program) migrateLocators(ctx context.Context, f *locatorFlags) error {
	l, err := p.locators(f)
	if err != nil {
		return err
	}
	if _, err := p.requireCatalog(); err != nil {
		return err
	}
	catalogPath, err := p.catalogPath()
	if err != nil {
		return err
	}
	catalog, err := p.openCatalog(ctx, catalogPath)
	if err != nil {
		return err
	}
	defer catalog.Close()
	l.Catalog = catalog
	// A file goes to a store of blobs in blocks of 8 MiB, for which there is the memory that copies
	// are not read into.
	p.blobs.calls = int(min(8, max(1, l.Pool.Limit()*3/4/(8<<20)-1)))
	homes, err := p.openHomes(ctx, f)
	if err != nil {
		return err
	}
	l.To, l.At = homes.to, homes.at
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
	p.printLocators(report, f, homes.name)
	if err == nil && report.Failed > 0 {
		err = &codeError{code: exitSomeRefused}
	}
	return err
}

// locators are the settings that flags say.
func (p *program) locators(f *locatorFlags) (*migrate.Locators, error) {
	l := &migrate.Locators{Modality: f.modality, Limit: f.limit, Clear: f.clear, ReadBack: f.readBack,
		DryRun: f.dryRun, Pool: p.pool(), Progress: &ingest.Progress{}, Log: p.log, Found: p.printLocatorProblem}
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
	case f.split && f.clear:
		return nil, usage("--split --clear-locators: the path stays where a file was read from")
	case f.to == "":
		return nil, usage("--to is missing: want row, dir:PATH or azblob://ACCOUNT")
	case p.blobs.byPosition() && !f.split:
		return nil, usage("--blob-layout position is for segments: files are named like themselves")
	}
	return l, checkStore("--to", f.to)
}

// homes are the stores of whole files.
type homes struct {
	name   string                    // for a person
	stores map[string]migrate.Target // by modality; "" for all others
	rows   bool
	reads  []ingest.Store
}

// openHomes opens the store that files go to, and --store, where copies of others may be.
func (p *program) openHomes(ctx context.Context, f *locatorFlags) (*homes, error) {
	h := &homes{name: inRows, stores: map[string]migrate.Target{}, rows: f.to == inRows}
	if f.split {
		p.store = f.to
	}
	if p.store != "" && p.store != inRows && p.store != f.to && !f.split {
		if err := p.openContainers(ctx, h, p.store); err != nil {
			return nil, err
		}
	}
	if !h.rows && !f.split {
		if err := p.blobs.rejectUnused(f.to); err != nil {
			return nil, err
		}
		if err := p.openContainers(ctx, h, f.to); err != nil {
			return nil, err
		}
		p.store = f.to
	}
	if !h.rows {
		var err error
		if h.name, err = p.storeName(); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// openContainers opens the store at an address: models and other files have containers of their own
// where it names none.
func (p *program) openContainers(ctx context.Context, h *homes, address string) error {
	for modality, container := range map[string]string{"model": "models", "": "atoms"} {
		t, err := p.openHome(ctx, address, container)
		if err != nil {
			return err
		}
		h.stores[modality] = t
		h.reads = append(h.reads, t.Store)
	}
	return nil
}

func (p *program) openHome(ctx context.Context, address, container string) (t migrate.Target, err error) {
	if isBlobs(address) {
		if address, err = azureblob.InContainer(address, container); err != nil {
			return t, err
		}
	}
	if t.Store, err = p.openStore(ctx, address); err != nil {
		return t, err
	}
	t.Address, _, _ = strings.Cut(address, "?")
	if path, ok := strings.CutPrefix(address, "dir:"); ok {
		path, err = filepath.Abs(path)
		t.Address = "dir:" + path
	}
	return t, err
}

// to is where the file of an atom goes.
func (h *homes) to(atom ingest.FileAtom) migrate.Target {
	if h.rows {
		return migrate.Target{Address: inRows}
	}
	if t, known := h.stores[atom.Modality]; known {
		return t
	}
	return h.stores[""]
}

// at is the store that has the copy of an atom, by the address in its row.
func (h *homes) at(atom ingest.FileAtom) (found ingest.Store, err error) {
	for _, store := range h.reads {
		prefix := "dir:"
		if blobs, ok := store.(*azureblob.Store); ok {
			prefix = blobs.String() + "/"
		}
		if strings.HasPrefix(atom.Address.URI, prefix) {
			found = store // the last one, which is --to
		}
	}
	if found == nil {
		return nil, fmt.Errorf("its copy is at %s, and the store that was named is another one",
			ingest.Printable(atom.Address.URI))
	}
	return found, nil
}

// splitter ingests files one after the other, as `ingest models` does.
type splitter struct {
	p       *program
	f       *ingestFlags
	run     pipeline.Ingester
	options map[string]string
	root    string // that files are within; empty for any
}

func (p *program) splitter(ctx context.Context, f *locatorFlags, catalog ingest.Catalog,
	pool *buffer.Pool) (*splitter, error) {
	options, err := p.settings(&f.ingestion)
	if err != nil {
		return nil, err
	}
	catalogPath, err := p.catalogPath()
	if err != nil {
		return nil, err
	}
	s := &splitter{p: p, f: &f.ingestion}
	if f.root != "" {
		s.root = source.Real(f.root)
	}
	if s.options, err = p.jobOptions(s.f); err != nil {
		return nil, err
	}
	s.run = pipeline.Ingester{Catalog: catalog, StoreAddress: s.options[ingest.OptionStore],
		Unshared: p.blobs.byPosition(), Pool: pool, Parse: s.f.parser(p, options).Parse, Options: options, Log: p.log}
	if address := p.storeURL(catalogPath); address != inRows {
		if err := p.blobs.rejectUnused(address); err != nil {
			return nil, err
		}
		if s.run.Store, err = p.openStore(ctx, address); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// ingest ingests one file. It is an error if the file is refused.
func (s *splitter) ingest(ctx context.Context, path string, expected ingest.Digest) error {
	found, err := s.p.find(ctx, []string{path})
	if err != nil {
		return err
	}
	for i := range found.Sources {
		files := found.Sources[i].Files
		for j := range files {
			if files[j].Path == path {
				files[j].Root = s.root
				files[j].Expected = expected
			}
		}
	}
	request := ingest.JobRequest{Pipeline: "models", Source: path, Paths: []string{path}, Options: s.options}
	result, err := s.run.Run(ctx, request, found)
	switch {
	case err != nil:
		return err
	case result.Interrupted:
		return ingest.ErrInterrupted
	case len(result.Refused) > 0:
		return result.Refused[0].Reason
	}
	return nil
}

func (p *program) printLocatorProblem(b migrate.LocatorProblem) {
	event, text := "refused", "ingest: not migrated: atom %d  %s: %v\n"
	if b.Notice {
		event, text = "notice", "ingest: note: atom %d  %s: %v\n"
	}
	if p.json {
		p.printJSON(map[string]any{"event": event, "atom": b.Atom.ID, "path": b.Atom.Locator,
			"modality": b.Atom.Modality, "sha256": b.Atom.Digest, "reason": b.Reason.Error()})
		return
	}
	fmt.Fprintf(p.stderr, text, b.Atom.ID, ingest.Printable(b.Atom.Locator), b.Reason)
}

func (p *program) printLocators(r *migrate.LocatorReport, f *locatorFlags, target string) {
	if p.json {
		p.printJSON(map[string]any{"event": "summary", "to": target, "moved": r.Moved, "linked": r.Linked,
			"cleared": r.Cleared, "there": r.There, "corrected": r.Corrected, "merged": r.Merged, "failed": r.Failed,
			"dry_run": f.dryRun})
		return
	}
	moved, cleared, corrected := "copied", "cleared the path of", "corrected"
	if f.dryRun {
		moved, cleared, corrected = "would copy", "would clear the path of", "would correct"
	}
	p.printf("%s %s to %s\n", moved, filesOf(r.Moved), ingest.Printable(target))
	if r.Linked.Rows > 0 {
		p.printf("%s stored already, and not copied again\n", filesOf(r.Linked))
	}
	if r.Corrected > 0 {
		p.printf("%s the ContentHash of %s\n", corrected, plural(int(r.Corrected), "row"))
	}
	if r.Merged > 0 {
		p.printf("%s became one with another row of the same content\n", plural(int(r.Merged), "row"))
	}
	if f.clear {
		p.printf("%s %s\n", cleared, filesOf(r.Cleared))
	}
	if r.There.Rows > 0 {
		p.printf("%s stored before\n", filesOf(r.There))
	}
	if left := r.Moved.Rows + r.Linked.Rows; left > 0 && !f.clear && !f.dryRun && !f.split {
		p.printf("paths stay in their rows: --clear-locators clears them\n")
	}
	if r.Failed > 0 {
		p.printf("%s not migrated, and each is named: the next run tries again\n", plural(int(r.Failed), "row"))
	}
}

func filesOf(c migrate.Count) string {
	return fmt.Sprintf("%s, %s", plural(int(c.Rows), "file"), human(c.Bytes))
}
