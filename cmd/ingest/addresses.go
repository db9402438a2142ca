package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlserver"
)

// usedStores returns the stores that the catalogue's jobs have used, except its own rows.
func usedStores(ctx context.Context, jobs ingest.Jobs) ([]ingest.UsedStore, error) {
	used, err := ingest.UsedStores(ctx, jobs)
	return slices.DeleteFunc(used, func(u ingest.UsedStore) bool { return u.Address == inRows }), err
}

func storeNames(used []ingest.UsedStore) string {
	var names []string
	for _, u := range used {
		names = append(names, ingest.Printable(u.Address))
	}
	return strings.Join(names, " and ")
}

// storeURL is --store, or the folder beside the catalogue.
func (p *program) storeURL(catalogPath string) string {
	return cmp.Or(p.store, "dir:"+filepath.Join(filepath.Dir(catalogPath), "store"))
}

// catalogPath is the file of a SQLite catalogue. With SQL Server it locates the default store.
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

// redact removes secrets from an address: the password, and the query, which may contain a key or a
// signature. Text that is not a URL is hidden: it may be a connection string.
func redact(address string) string {
	u, err := url.Parse(address)
	if err != nil || strings.ContainsAny(u.Path+u.Opaque, "=;") || u.Fragment != "" || u.User == nil &&
		strings.Contains(address, "@") {
		return "(not shown: it may contain a secret)"
	}
	if u.RawQuery != "" {
		u.RawQuery = "..."
	}
	return ingest.Printable(u.Redacted())
}

// dataFolder is the default folder for the catalogue and the store: in %LOCALAPPDATA% on Windows,
// in Application Support on macOS, in XDG_DATA_HOME elsewhere.
func dataFolder() (string, error) {
	base := os.Getenv("XDG_DATA_HOME")
	if runtime.GOOS == "windows" {
		base = os.Getenv("LOCALAPPDATA")
	}
	if base == "" || !filepath.IsAbs(base) {
		user, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no home folder for the catalogue (%w): name a file with --catalog sqlite:PATH", err)
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
