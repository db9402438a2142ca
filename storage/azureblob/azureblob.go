// Package azureblob stores payloads in a container of Azure Blob Storage, one blob each:
//
//	sha256/ab/<digest>                        payloads by digest: the content layout
//	sha256/ab/<digest>-<digest>               the same, encoded
//	<model>/<layer>/<ordinal>.bin             payloads by row: the position layout
//	<model>/files/<file>/<ordinal>.bin        the same, for bytes outside tensors
//	descriptions/<number>-<digest>            descriptions of models
//	<file name>                               whole files that are named like the file
//	owner                                     the identity of the store's catalogue
//	catalogs/<identity>                       in stores of earlier versions: a catalogue that used it
//
// A payload is written by one Put Blob, on the condition that the blob does not exist or was not
// modified since it was found to be wrong. So every existing blob is whole, and an interrupted
// write leaves nothing behind. The request carries a CRC-64/NVME that the service checks, and the
// blob's metadata has the digest of its content. The name of an encoded payload has the digest of
// the original bytes, and then that of its content.
//
// A credential is only sent to the host that it was given for: requests go to one host, redirects
// are not followed, and no error, address or text of a Store contains a secret. Plain http is only
// for loopback.
//
// The SDK's retries are off. An error says whether to retry, and storage.Do does: for a verb, or
// for each request of a long one.
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

// Layout is a naming scheme for blobs.
type Layout string

// The layouts.
const (
	ByContent  Layout = "content"  // by digest: equal payloads are stored once
	ByPosition Layout = "position" // by the row that refers to them, as other programs expect; never encoded
)

// Settings of a store. The zero value has good defaults.
type Settings struct {
	Layout  Layout        // ByContent if empty
	Tier    string        // hot, cool, cold or archive; the account's default if empty
	Workers int           // number of concurrent calls, for which connections are kept; 8 if zero or less
	Stall   time.Duration // a connection is dropped if no byte moves for so long; 90 s if zero or less
	// BlockBytes is the size of PutFile's blocks; 8 MiB if zero or less. Very large files get larger
	// blocks.
	BlockBytes int64
	Policy     storage.Policy // for retries
	// CapMbps limits payload bytes in both directions together, in megabits (1,000,000 bits) per
	// second; no limit if zero or less. It is an average over seconds. Retries count.
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

// Store is a container of payloads. Any number of processes may use one container at once.
type Store struct {
	container *container.Client
	url       string // of the container, without a query
	layout    Layout
	tier      *blob.AccessTier
	workers   int
	block     int64
	policy    storage.Policy
	pageSize  int32                  // of lists; 0 for the service's own, which is 5,000
	scrub     func(string) string    // removes secrets
	owner     atomic.Pointer[string] // found by Owner, escaped
}

// Open returns the store at address:
//
//	azblob://ACCOUNT/CONTAINER
//	https://ACCOUNT.blob.core.windows.net/CONTAINER[?SAS]
//	http://127.0.0.1:PORT/ACCOUNT/CONTAINER                 (plain http is only for loopback)
//
// The container is "tensors" if none is named. Open does not create the container: the first Put or
// claim does.
//
// Open uses the first credential of these: a SAS in the address; AZURE_STORAGE_CONNECTION_STRING,
// AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, as AZURE_STORAGE_AUTH_MODE allows; the default
// credential of azidentity: environment, workload or managed identity, or the login of an Azure
// command line.
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

// Check returns an error for settings that Open would refuse.
func (s Settings) Check() error {
	if s.Layout != "" && s.Layout != ByContent && s.Layout != ByPosition {
		return fmt.Errorf("blob layout %q: want %s or %s", s.Layout, ByContent, ByPosition)
	}
	if _, ok := tiers[s.Tier]; !ok && s.Tier != "" {
		return fmt.Errorf("tier %q: want hot, cool, cold or archive", s.Tier)
	}
	return nil
}

// complete sets the defaults.
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
