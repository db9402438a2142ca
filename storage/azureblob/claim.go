package azureblob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// Claim records the catalogue as one that refers to the store; see ingest.Claimer.
func (s *Store) Claim(ctx context.Context, catalog string) ([]string, error) {
	if catalog == "" {
		return nil, errors.New("claim the store: the catalogue has no identity")
	}
	name := escape(catalog)
	u := newUpload(catalogs+name, ingest.Sum(nil), nil, metadata{})
	if _, err := s.send(ctx, u, ifAbsent()); err != nil && !isTaken(err) {
		return nil, fmt.Errorf("claim the store for catalogue %s: %w", ingest.Printable(catalog), err)
	}
	s.catalog.Store(&name)
	if err := s.heed(ctx); err != nil { // after the claim: see ingest.Announcer
		return nil, err
	}
	return s.Claims(ctx)
}

// Claims returns the catalogues that refer to the store; see ingest.Claimer.
func (s *Store) Claims(ctx context.Context) ([]string, error) {
	var identities []string
	for item, err := range s.list(ctx, catalogs, false) {
		if err != nil {
			return nil, err
		}
		// One that Claim cannot have made counts too: it keeps gc from removing too much, and a person can see it.
		identities = append(identities, unescape(strings.TrimPrefix(*item.Name, catalogs)))
	}
	slices.Sort(identities)
	return identities, nil
}

const plainBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// escape turns an identity into a part of a blob's name and a value of a header that nothing on the way changes:
// whatever is not a plain byte becomes ~XX. A per cent sign in a name would invite others to decode it.
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

// unescape is the reverse of escape; a name that escape cannot have made stays as it is.
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
