package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlite"
)

// inRows is the --store that keeps payloads in the catalogue's own rows.
const inRows = "row"

// home is an open catalogue and where its payloads live.
type home struct {
	catalog ingest.Catalog
	store   ingest.Store // nil with --store row
}

func (h *home) payloads() ingest.Payloads {
	rows, _ := h.catalog.(ingest.RowStore)
	return ingest.Payloads{Store: h.store, Rows: rows}
}

// open opens what --catalog and --store name. This is the one place that knows the drivers.
func (p *program) open(ctx context.Context) (*home, error) {
	catalogPath, err := p.catalogPath()
	if err != nil {
		return nil, err
	}
	h := &home{}
	if h.catalog, err = sqlite.Open(ctx, catalogPath); err != nil {
		return nil, err
	}
	if storeURL := p.storeURL(catalogPath); storeURL != inRows {
		if h.store, err = p.openStore(ctx, storeURL); err != nil {
			return nil, errors.Join(err, h.catalog.Close())
		}
	}
	return h, nil
}

// storeURL is --store, or the folder beside the catalogue.
func (p *program) storeURL(catalogPath string) string {
	return cmp.Or(p.store, "dir:"+filepath.Join(filepath.Dir(catalogPath), "store"))
}

func (p *program) catalogPath() (string, error) {
	if p.catalog == "" {
		folder, err := dataFolder()
		return filepath.Join(folder, "catalog.db"), err
	}
	path, ok := strings.CutPrefix(p.catalog, "sqlite:")
	if !ok || path == "" {
		return "", usage("--catalog %s: want sqlite:PATH", redact(p.catalog))
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
