package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/reader"
	"github.com/hartonomous/ingest/storage/dir"
	"github.com/hartonomous/ingest/storage/sqlite"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

// inRows is the --store that keeps payloads in the catalogue's own rows.
const inRows = ingest.StoreRows

// env is an open catalogue and its store.
type env struct {
	catalog ingest.Catalog
	store   ingest.Store // nil with --store row
	// descriptions is store; nil if it has blobs by position, whose names depend on the catalogue.
	descriptions ingest.DescriptionStore
}

// reader reads the stored files of an env, within the memory limit. progress may be nil.
func (p *program) reader(e *env, progress *ingest.Progress) *reader.Reader {
	r := &reader.Reader{Catalog: e.catalog, Store: e.store, Pool: p.pool(), Progress: progress}
	_, local := e.store.(*dir.Store)
	if e.store == nil {
		_, local = e.catalog.(*sqlite.Catalog)
	}
	if local {
		r.Workers = reader.LocalWorkers()
	}
	return r
}

// pool bounds the buffers of the process.
func (p *program) pool() *buffer.Pool { return buffer.ForMemory(int64(p.memory)) }

// logPayloadMode logs how payloads are written to rows, if the catalogue has several modes.
func (h *env) logPayloadMode(log *slog.Logger) {
	if server, ok := h.catalog.(interface{ PayloadMode() string }); ok && h.store == nil {
		log.Info(server.PayloadMode())
	}
}

// openNew opens the catalogue and the store, and creates them if they do not exist. Only
// openCatalog and openStore know the drivers.
func (p *program) openNew(ctx context.Context) (*env, error) {
	catalogPath, err := p.catalogPath()
	if err != nil {
		return nil, err
	}
	h := &env{}
	storeURL := p.storeURL(catalogPath)
	if err := p.blobs.rejectUnused(storeURL); err != nil {
		return nil, err
	}
	if h.catalog, err = p.openCatalog(ctx, catalogPath); err != nil {
		return nil, err
	}
	if storeURL == inRows {
		return h, nil
	}
	store, err := p.openStore(ctx, storeURL)
	if err != nil {
		return nil, errors.Join(err, h.catalog.Close())
	}
	if h.store = store; !p.blobs.byPosition() {
		h.descriptions = store
	}
	return h, nil
}

// openFirst is openNew, but does not make a catalogue whose store has another owner.
func (p *program) openFirst(ctx context.Context) (*env, error) {
	path, err := p.catalogPath()
	if err == nil {
		err = p.checkNotLost(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	return p.openNew(ctx)
}

func (p *program) openCatalog(ctx context.Context, path string) (ingest.Catalog, error) {
	if sqlserver.IsAddress(p.catalog) {
		defer p.announce("connecting to the catalogue")()
		catalog, err := sqlserver.Open(ctx, p.catalog, sqlserver.Settings{
			Filestream: sqlserver.PayloadMode(p.filestream), Connections: p.connections})
		if err != nil {
			return nil, err // not catalog: an interface with a nil pointer is not nil
		}
		return catalog, nil
	}
	if p.filestream == string(sqlserver.Win32) {
		return nil, usage("--filestream win32 needs a catalogue on SQL Server: name one with " +
			"--catalog sqlserver://HOST?database=NAME")
	}
	defer p.announce("opening the catalogue %s", ingest.Printable(path))()
	catalog, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	return catalog, nil
}

// requireCatalog returns an error if the file of the catalogue does not exist.
func (p *program) requireCatalog(ctx context.Context) (path string, err error) {
	if path, err = p.catalogPath(); err != nil {
		return "", err
	}
	if !p.lacksCatalog(path) {
		return path, nil
	}
	if err := p.checkNotLost(ctx, path); err != nil {
		return "", err
	}
	return "", fmt.Errorf("no catalogue at %s: create one with `ingest models`, or name another with --catalog",
		ingest.Printable(path))
}

// lacksCatalog reports whether the file of a SQLite catalogue does not exist.
func (p *program) lacksCatalog(path string) bool {
	_, err := os.Stat(path)
	return !sqlserver.IsAddress(p.catalog) && errors.Is(err, fs.ErrNotExist)
}

// checkNotLost returns an error if there is no file at path, and a catalogue owns its store: a new one could
// not use it. A store that does not answer is no error here.
func (p *program) checkNotLost(ctx context.Context, path string) error {
	address := p.storeURL(path)
	if !p.lacksCatalog(path) || address == inRows {
		return nil
	}
	store, err := p.openStore(ctx, address)
	if err != nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, ownerTimeout)
	defer cancel()
	if owner, err := store.Owner(limited, ""); err != nil || owner == "" {
		return nil
	}
	return fmt.Errorf("no catalogue at %s, but %s belongs to one: if that is lost, `ingest rebuild --take-over` makes "+
		"it again; otherwise name it with --catalog, or another store with --store", ingest.Printable(path),
		ingest.Printable(redact(address)))
}

// openExisting opens an existing catalogue without its store, which may be unreachable.
func (p *program) openExisting(ctx context.Context) (ingest.Catalog, error) {
	path, err := p.requireCatalog(ctx)
	if err != nil {
		return nil, err
	}
	return p.openCatalog(ctx, path)
}

// openCurrent opens an existing catalogue that needs no schema steps, so that it does not change.
func (p *program) openCurrent(ctx context.Context) (ingest.Catalog, error) {
	path, err := p.requireCatalog(ctx)
	if err != nil {
		return nil, err
	}
	if !sqlserver.IsAddress(p.catalog) {
		current, err := sqlite.Current(ctx, path)
		if err == nil && !current {
			err = fmt.Errorf("catalogue %s: it is empty or of an earlier version, and `ingest list` updates it",
				ingest.Printable(path))
		}
		if err != nil {
			return nil, err
		}
	}
	return p.openCatalog(ctx, path)
}

// open opens an existing catalogue and its store. The store is nil if the catalogue has no payloads
// in it, so that no command searches or repairs it in place of the right one.
func (p *program) open(ctx context.Context) (*env, error) {
	if _, err := p.requireCatalog(ctx); err != nil {
		return nil, err
	}
	h, err := p.openNew(ctx)
	if err != nil {
		return nil, err
	}
	if h.store == nil {
		return h, nil
	}
	identity, err := h.catalog.Identity(ctx)
	owner := ""
	if err == nil {
		owner, err = h.store.Owner(ctx, "")
	}
	var shared *ingest.SharedError // from before stores had owners: each catalogue can still read its payloads
	if errors.As(err, &shared) && slices.Contains(shared.Catalogs, identity) {
		return h, nil
	}
	if err != nil {
		return nil, errors.Join(err, h.catalog.Close())
	}
	if owner != identity {
		h.store, h.descriptions = nil, nil
	}
	return h, nil
}

// requireStore returns an error if the catalogue's payloads cannot be in the store of h.
func (p *program) requireStore(ctx context.Context, h *env) error {
	if h.store != nil || p.store == inRows {
		return nil
	}
	used, err := usedStores(ctx, h.catalog)
	if err != nil || len(used) == 0 {
		return err
	}
	store, err := p.storeName()
	if err != nil {
		return err
	}
	for _, u := range used {
		if u.Address == store { // its owner should be this catalogue
			return &ingest.LostStoreError{UsedStore: u}
		}
	}
	return fmt.Errorf("this catalogue has no payloads in %s; they are in %s: name that store with --store, or use "+
		"--store row for payloads in rows", ingest.Printable(store), storeNames(used))
}

// requireComplete returns an error for an unfinished model, which says how to complete or remove it.
func requireComplete(ctx context.Context, jobs ingest.Jobs, m ingest.Summary) error {
	switch m.State {
	case ingest.ModelOpen:
	case ingest.ModelRemoving:
		return fmt.Errorf("model %d is being removed: `ingest rm %d` finishes it", m.ID, m.ID)
	default:
		return nil
	}
	job, err := jobs.Job(ctx, m.Job)
	if err != nil && !errors.Is(err, ingest.ErrNotFound) {
		return err
	}
	if job.State == ingest.JobOpen {
		return fmt.Errorf("model %d is not complete: run `ingest resume`", m.ID)
	}
	return fmt.Errorf("model %d is not complete, and no job resumes it: ingest its unchanged files again, "+
		"or remove it with `ingest rm %d`", m.ID, m.ID)
}
