package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlite"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

// inRows is the --store that keeps payloads in the catalogue's own rows.
const inRows = ingest.StoreRows

// home is an open catalogue and where its payloads live.
type home struct {
	catalog ingest.Catalog
	store   ingest.Store // nil with --store row, and for one that is not the catalogue's
	// foreign is the catalogue that the store that was left out belongs to; empty if it has none.
	foreign string
}

func (h *home) payloads() ingest.Payloads {
	rows, _ := h.catalog.(ingest.RowStore)
	return ingest.Payloads{Store: h.store, Rows: rows}
}

// logWay says how payloads get into the catalogue's rows, where there is more than one way.
func (h *home) logWay(log *slog.Logger) {
	if server, ok := h.catalog.(interface{ PayloadWay() string }); ok && h.store == nil {
		log.Info(server.PayloadWay())
	}
}

// openNew opens what --catalog and --store name, and makes what is not there yet. This is, with openStore, the one
// place that knows the drivers.
func (p *program) openNew(ctx context.Context) (*home, error) {
	catalogPath, err := p.catalogPath()
	if err != nil {
		return nil, err
	}
	h := &home{}
	storeURL := p.storeURL(catalogPath)
	if err := p.blobs.unheeded(storeURL); err != nil {
		return nil, err
	}
	if h.catalog, err = p.openCatalog(ctx, catalogPath); err != nil {
		return nil, err
	}
	if storeURL != inRows {
		if h.store, err = p.openStore(ctx, storeURL); err != nil {
			return nil, errors.Join(err, h.catalog.Close())
		}
	}
	return h, nil
}

func (p *program) openCatalog(ctx context.Context, path string) (ingest.Catalog, error) {
	if sqlserver.IsAddress(p.catalog) {
		catalog, err := sqlserver.Open(ctx, p.catalog, sqlserver.Settings{Filestream: sqlserver.Way(p.filestream), Connections: p.connections})
		if err != nil {
			return nil, err // not catalog: a nil pointer would make an interface that is not nil
		}
		return catalog, nil
	}
	if p.filestream == string(sqlserver.Win32) {
		return nil, usage("--filestream win32: FILESTREAM is SQL Server's, and the catalogue is a file: name a server with --catalog sqlserver://HOST?database=NAME")
	}
	catalog, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	return catalog, nil
}

// wantCatalog refuses a catalogue that was named and is not there.
func (p *program) wantCatalog() (path string, err error) {
	if path, err = p.catalogPath(); err != nil {
		return "", err
	}
	if _, err := os.Stat(path); p.catalog != "" && !sqlserver.IsAddress(p.catalog) && errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no catalogue at %s: `ingest models` makes one, and --catalog names another", ingest.Printable(path))
	}
	return path, nil
}

// openToRead opens a catalogue that is there, for what stands in its rows: the store may be out of reach.
func (p *program) openToRead(ctx context.Context) (ingest.Catalog, error) {
	path, err := p.wantCatalog()
	if err != nil {
		return nil, err
	}
	return p.openCatalog(ctx, path)
}

// open opens a catalogue that is there, and its store. A store that is not the catalogue's is left out, so that it is not
// searched, or repaired, in place of the right one. Which catalogues' payloads are in a store that several have used is not known
// any longer: what is read of it is checked, so it may be read.
func (p *program) open(ctx context.Context) (*home, error) {
	if _, err := p.wantCatalog(); err != nil {
		return nil, err
	}
	h, err := p.openNew(ctx)
	if err != nil || h.store == nil {
		return h, err
	}
	identity, err := h.catalog.Identity(ctx)
	var owner string
	if err == nil {
		owner, err = h.store.Owner(ctx, "")
	}
	var shared *ingest.SharedError
	switch {
	case errors.As(err, &shared) && slices.Contains(shared.Catalogs, identity):
	case err != nil:
		return nil, errors.Join(err, h.catalog.Close())
	case owner != identity:
		h.store, h.foreign = nil, owner
	}
	return h, nil
}

// requireStore refuses to look for payloads where none can be: in a store that is not the catalogue's, or is not there.
func (p *program) requireStore(ctx context.Context, h *home) error {
	if h.store != nil || p.store == inRows {
		return nil
	}
	used, err := ingest.UsedStores(ctx, h.catalog)
	if err != nil || len(used) == 0 {
		return err
	}
	store, err := p.storeName()
	if err != nil {
		return err
	}
	if h.foreign != "" {
		return fmt.Errorf("%s belongs to another catalogue (%s); this one has put payloads into %s: --store names the one to look in, and --store row its own rows",
			ingest.Printable(store), ingest.Printable(h.foreign), addressesOf(used))
	}
	for _, u := range used {
		if u.Address == store {
			return &ingest.LostStoreError{UsedStore: u}
		}
	}
	return fmt.Errorf("this catalogue has put nothing into %s; it has put payloads into %s: --store names the one to look in, and --store row its own rows", ingest.Printable(store), addressesOf(used))
}

// addressesOf names stores for a person.
func addressesOf(used []ingest.UsedStore) string {
	var addresses []string
	for _, u := range used {
		addresses = append(addresses, ingest.Printable(u.Address))
	}
	return strings.Join(addresses, " and ")
}

// storeURL is --store, or the folder beside the catalogue.
func (p *program) storeURL(catalogPath string) string {
	return cmp.Or(p.store, "dir:"+filepath.Join(filepath.Dir(catalogPath), "store"))
}

// catalogPath is the file of the embedded catalogue; beside a SQL Server it only says where the default store is.
func (p *program) catalogPath() (string, error) {
	if p.catalog == "" || sqlserver.IsAddress(p.catalog) {
		folder, err := dataFolder()
		return filepath.Join(folder, "catalog.db"), err
	}
	path, ok := strings.CutPrefix(p.catalog, "sqlite:")
	if !ok || path == "" {
		return "", usage("--catalog %s: want sqlite:PATH or sqlserver://HOST?database=NAME", redact(p.catalog))
	}
	return path, nil
}

// redact takes the secrets out of an address, for messages: a password, and a query,
// which may hold a key or a signature. What is no URL may be a connection string, where anything may be secret.
func redact(address string) string {
	u, err := url.Parse(address)
	if err != nil || strings.ContainsAny(u.Path+u.Opaque, "=;") || u.Fragment != "" || u.User == nil && strings.Contains(address, "@") {
		return "(not shown: it may hold a secret)"
	}
	if u.RawQuery != "" {
		u.RawQuery = "..."
	}
	return ingest.Printable(u.Redacted())
}

// dataFolder is where the program keeps its own files if nothing else is said: %LOCALAPPDATA% on
// Windows, Application Support on macOS, XDG_DATA_HOME elsewhere.
func dataFolder() (string, error) {
	base := os.Getenv("XDG_DATA_HOME")
	if runtime.GOOS == "windows" {
		base = os.Getenv("LOCALAPPDATA")
	}
	if base == "" || !filepath.IsAbs(base) {
		user, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no home folder to keep the catalogue in (%w): name one with --catalog sqlite:PATH", err)
		}
		switch runtime.GOOS {
		case "windows":
			base = filepath.Join(user, "AppData", "Local")
		case "darwin":
			base = filepath.Join(user, "Library", "Application Support")
		default:
			base = filepath.Join(user, ".local", "share")
		}
	}
	return filepath.Join(base, "ingest"), nil
}
