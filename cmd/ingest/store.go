package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/azureblob"
	"github.com/hartonomous/ingest/storage/dir"
)

// storeFlags are the settings of a store of blobs.
type storeFlags struct {
	layout  string
	tier    string
	capMbps float64
	calls   int // concurrent calls, and so connections; 0 for the store's default
}

func (f *storeFlags) settings() azureblob.Settings {
	return azureblob.Settings{Layout: azureblob.Layout(f.layout), Tier: f.tier, Workers: f.calls, CapMbps: f.capMbps}
}

// byPosition reports whether blobs are named by the row that needs them. Then rows share none.
func (f *storeFlags) byPosition() bool { return f.layout == string(azureblob.ByPosition) }

// check rejects settings that no store of blobs takes, whether or not the store is one.
func (f *storeFlags) check() error {
	if err := f.settings().Check(); err != nil {
		return usage("--blob-layout, --tier: %w", err)
	}
	if !(f.capMbps >= 0) || f.capMbps > 1e9 {
		return usage("--cap-mbps %v: want 0 or more", f.capMbps)
	}
	return nil
}

// rejectUnused rejects settings for blobs if the store at address is of another kind.
func (f *storeFlags) rejectUnused(address string) error {
	if isBlobs(address) {
		return nil
	}
	for flag, given := range map[string]bool{"--tier": f.tier != "", "--cap-mbps": f.capMbps > 0,
		"--blob-layout position": f.byPosition()} {
		if given {
			return usage("%s is for a store of blobs, and the store is %s: omit it, or name a container with "+
				"--store azblob://ACCOUNT/CONTAINER", flag, ingest.Printable(redact(address)))
		}
	}
	return nil
}

func (f *storeFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.layout, "blob-layout", string(azureblob.ByContent),
		"how blobs are named: content (by digest) or position (by model, layer and ordinal)")
	flags.StringVar(&f.tier, "tier", "", "access tier of blobs: hot, cool, cold or archive (default the account's own)")
	flags.Float64Var(&f.capMbps, "cap-mbps", 0,
		"limit in megabits per second to and from a store of blobs (0: no limit)")
}

// storeName is the store's address as jobs record it: without secrets, and absolute.
func (p *program) storeName() (string, error) {
	catalogPath, err := p.catalogPath()
	if err != nil {
		return "", err
	}
	address := p.storeURL(catalogPath)
	path, ok := strings.CutPrefix(address, "dir:")
	if !ok {
		address, _, _ = strings.Cut(address, "?")
		return address, nil
	}
	path, err = filepath.Abs(path)
	return "dir:" + path, err
}

// isFolder reports whether an address looks like a path: it begins like one of this system or of
// Windows, or names an existing folder.
func isFolder(address string) bool {
	drive := len(address) > 2 && address[1] == ':' && (address[2] == '\\' || address[2] == '/')
	info, err := os.Stat(address)
	return drive || filepath.IsAbs(address) || err == nil && info.IsDir()
}

// checkStore rejects an address that openStore cannot open. Messages name the flag.
func checkStore(flag, address string) error {
	if path, ok := strings.CutPrefix(address, "dir:"); ok && path != "" || address == "" || address == inRows {
		return nil
	}
	if isBlobs(address) {
		if err := azureblob.CheckAddress(address); err != nil {
			return usage("%s: %w", flag, err)
		}
		return nil
	}
	if isFolder(address) && !strings.Contains(address, "?") { // what follows can be a signature
		return usage("%s %s: not a URL: use dir:%s", flag, ingest.Printable(address), ingest.Printable(address))
	}
	return usage("%s %s: want dir:PATH, azblob://ACCOUNT/CONTAINER, "+
		"https://ACCOUNT.blob.core.windows.net/CONTAINER, or row", flag, redact(address))
}

// home is what the stores of this program can do.
type home interface {
	ingest.FileStore
	ingest.DescriptionStore
}

// openStore opens the store at an address that checkStore accepts.
func (p *program) openStore(ctx context.Context, address string) (home, error) {
	if path, ok := strings.CutPrefix(address, "dir:"); ok {
		store, err := dir.Open(path)
		if err != nil {
			return nil, err // not store: an interface with a nil pointer is not nil
		}
		return store, nil
	}
	defer p.announce("connecting to the store %s", ingest.Printable(redact(address)))()
	store, err := azureblob.Open(ctx, address, p.blobs.settings())
	if err != nil {
		return nil, err
	}
	return store, nil
}

func isBlobs(address string) bool {
	scheme, _, _ := strings.Cut(address, ":")
	return scheme == "azblob" || scheme == "https" || scheme == "http"
}

// defaultOlderThan is the default of gc --older-than. Only this program writes to a local folder; a
// container may have other writers.
func (p *program) defaultOlderThan() time.Duration {
	if isBlobs(p.store) {
		return 24 * time.Hour
	}
	return 0
}
