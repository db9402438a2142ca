// Package azureblob keeps payloads in a container of Azure Blob Storage, one blob each:
//
//	sha256/ab/<64 hexadecimal digits>         payloads by digest: the content layout
//	<model>/<layer>/<ordinal>.bin             payloads by row: the position layout
//	<model>/files/<file>/<ordinal>.bin        the same, for bytes that belong to no tensor
//	<file name>                               whole files that are named like the file
//	owner                                     the identity of the catalogue that the store belongs to
//	catalogs/<identity>                       of stores from before there was an owner: who used it
//
// A payload is written by one Put Blob, on the condition that no such blob exists or that the one
// that exists is still the wrong one that was looked at. So a blob is whole whenever it is there,
// and nothing is left behind by a write that was cut off. The request carries a CRC-64/NVME that
// the service checks, and the blob's metadata the digest: each blob says itself what it should be.
//
// Every credential stays with the host that it was given for: requests go to one host, redirects
// are not followed, and no error, address or text of a Store holds a secret. Plain http is for
// loopback.
//
// The retries of the SDK are off. An error says whether trying again makes sense, and storage.Do
// does it: around a verb, or around each request of a long one.
package azureblob

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

var _ ingest.FileStore = (*Store)(nil)

// Layout says how blobs are named.
type Layout string

// The layouts.
const (
	ByContent  Layout = "content"  // by digest: equal payloads are stored once
	ByPosition Layout = "position" // by the row that refers to them, as other programs expect
)

// Settings of a store. The zero value is right.
type Settings struct {
	Layout  Layout        // ByContent if empty
	Tier    string        // hot, cool, cold or archive; the account's own if empty
	Workers int           // how many calls come at once, and so how many connections are kept; 8 if zero or less
	Stall   time.Duration // a connection on which no byte moves for so long is given up; 90 s if zero or less
	// BlockBytes is the size of the blocks in which PutFile sends a file; 8 MiB if zero or less. It
	// grows for a file that would have too many of them; no more bytes of blocks are held then, but
	// always two blocks.
	BlockBytes int64
	Policy     storage.Policy // how requests are tried again
	// CapMbps is the most megabits (of 1,000,000 bits) of payloads that go in each second, in both
	// directions together; no cap if zero or less. It holds over seconds, not over milliseconds.
	// What is sent again counts again.
	CapMbps float64
}

const (
	defaultWorkers    = 8
	defaultStall      = 90 * time.Second
	defaultBlockBytes = 8 << 20
)

var tiers = map[string]blob.AccessTier{
	"hot": blob.AccessTierHot, "cool": blob.AccessTierCool,
	"cold": blob.AccessTierCold, "archive": blob.AccessTierArchive,
}

// Store keeps payloads in one container. Any number of processes may use one container at once.
type Store struct {
	container *container.Client
	url       string // of the container, without a query
	layout    Layout
	tier      *blob.AccessTier
	workers   int
	block     int64
	policy    storage.Policy
	pageSize  int32 // of lists; 0 for the service's own, which is 5,000
	scrub     func(string) string
	owner     atomic.Pointer[string] // that Owner has found, escaped
}

// Open returns the store at address:
//
//	azblob://ACCOUNT/CONTAINER
//	https://ACCOUNT.blob.core.windows.net/CONTAINER[?SAS]
//	http://127.0.0.1:PORT/ACCOUNT/CONTAINER                 (plain http is for loopback alone)
//
// The container is "tensors" if none is named. It is made by the first Put or claim if it does not
// exist, so that a mere look creates nothing.
//
// A SAS in the address is used if there is one; else what AZURE_STORAGE_AUTH_MODE,
// AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_KEY and AZURE_STORAGE_SAS_TOKEN say, in this
// order; else the default credential of azidentity: environment, workload or managed identity, and
// what the Azure command lines are signed in with.
func Open(ctx context.Context, address string, settings Settings) (*Store, error) {
	return open(ctx, address, settings, seams{})
}

func open(ctx context.Context, address string, settings Settings, seams seams) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := settings.Check(); err != nil {
		return nil, err
	}
	settings.complete()
	place, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	access, err := place.access(seams)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", place.url(), err)
	}
	s := &Store{
		url:     place.url(),
		layout:  settings.Layout,
		workers: settings.Workers,
		block:   settings.BlockBytes,
		policy:  settings.Policy,
		scrub:   access.scrub,
	}
	if tier, ok := tiers[settings.Tier]; ok {
		s.tier = &tier
	}
	if s.container, err = access.client(s.url, settings, seams); err != nil {
		return nil, fmt.Errorf("store %s: %s", s.url, s.scrub(err.Error()))
	}
	return s, nil
}

// Check reports settings that Open would refuse.
func (s Settings) Check() error {
	if s.Layout != "" && s.Layout != ByContent && s.Layout != ByPosition {
		return fmt.Errorf("blob layout %q: want %s or %s", s.Layout, ByContent, ByPosition)
	}
	if _, ok := tiers[s.Tier]; !ok && s.Tier != "" {
		return fmt.Errorf("tier %q: want hot, cool, cold or archive", s.Tier)
	}
	return nil
}

// complete puts the defaults in.
func (s *Settings) complete() {
	if s.Layout == "" {
		s.Layout = ByContent
	}
	if s.Workers <= 0 {
		s.Workers = defaultWorkers
	}
	if s.Stall <= 0 {
		s.Stall = defaultStall
	}
	if s.BlockBytes <= 0 {
		s.BlockBytes = defaultBlockBytes
	}
}

// String returns the container's address, without secrets.
func (s *Store) String() string { return s.url }

// GoString returns the container's address, without secrets.
func (s *Store) GoString() string { return "azureblob.Store(" + s.url + ")" }
