package azureblob

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/hartonomous/ingest/ingest"
)

// Owner returns the catalogue that the store belongs to. If there is none, it makes claim the
// owner; see ingest.Store.
func (s *Store) Owner(ctx context.Context, claim string) (string, error) {
	owner, err := s.owned(ctx, claim)
	if err != nil {
		return "", fmt.Errorf("owner of the store: %w", err)
	}
	if owner != "" && (claim == "" || owner == claim) {
		escaped := escape(owner)
		s.owner.Store(&escaped)
	}
	return owner, nil
}

func (s *Store) owned(ctx context.Context, claim string) (string, error) {
	read := func() (string, error) { return s.recordedOwner(ctx) }
	owner, err := tried(ctx, s, read)
	if err != nil || owner != "" {
		return owner, err
	}
	if owner, err = s.formerOwner(ctx); err != nil || claim == "" || owner != "" && owner != claim {
		return owner, err
	}
	record := newUpload(ownerRecord, ingest.Sum([]byte(claim)), []byte(claim), metadata{})
	record.readable = true
	_, err = tried(ctx, s, func() (ingest.Address, error) { return s.send(ctx, record, ifAbsent()) })
	if err != nil && !isTaken(err) {
		return "", err
	}
	return tried(ctx, s, read)
}

// maxOwner is the maximum size of the blob owner in bytes.
const maxOwner = 4096

// recordedOwner reads the blob owner; empty if there is none.
func (s *Store) recordedOwner(ctx context.Context) (string, error) {
	answer, err := s.container.NewBlobClient(ownerRecord).DownloadStream(ctx, nil)
	if err != nil {
		err = s.failed(ctx, "read", ownerRecord, err)
		if isMissing(err) && (!refused(err, bloberror.ContainerNotFound) || s.mayMakeContainer(err)) {
			err = nil
		}
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxOwner))
	if err != nil {
		return "", s.failed(ctx, "read", ownerRecord, err)
	}
	if len(text) == 0 {
		return "", fmt.Errorf("%s is empty, but must contain a catalogue's identity: delete the blob if "+
			"another program wrote it", s.urlOf(ownerRecord))
	}
	return string(text), nil
}

// formerOwner returns the catalogue that used a store of an earlier version.
func (s *Store) formerOwner(ctx context.Context) (string, error) {
	var identities []string
	for item, err := range s.list(ctx, catalogs, false) {
		if err != nil {
			return "", err
		}
		// An entry that was added by hand counts: the user can see it.
		identities = append(identities, unescape(strings.TrimPrefix(*item.Name, catalogs)))
	}
	switch len(identities) {
	case 0:
		return "", nil
	case 1:
		return identities[0], nil
	}
	return "", &ingest.SharedError{Catalogs: identities, Where: s.urlOf(catalogs)}
}

// ownedBy is the owner that Owner has found, escaped; empty if none.
func (s *Store) ownedBy() string {
	if owner := s.owner.Load(); owner != nil {
		return *owner
	}
	return ""
}

const plainBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// escape encodes an identity as a header value: a byte that is not plain becomes ~XX.
func escape(identity string) string {
	var name strings.Builder
	for i := range len(identity) {
		if c := identity[i]; strings.IndexByte(plainBytes, c) >= 0 {
			name.WriteByte(c)
		} else {
			fmt.Fprintf(&name, "~%02X", c)
		}
	}
	return name.String()
}

// unescape reverses escape; it returns other names unchanged.
func unescape(name string) string {
	var identity strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '~' {
			identity.WriteByte(name[i])
			continue
		}
		if i+3 > len(name) {
			return name
		}
		value, err := strconv.ParseUint(name[i+1:i+3], 16, 8)
		if err != nil {
			return name
		}
		identity.WriteByte(byte(value))
		i += 2
	}
	if escape(identity.String()) != name {
		return name
	}
	return identity.String()
}
