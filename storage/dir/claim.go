package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Claim records the catalogue as one that refers to the store; see ingest.Claimer.
func (s *Store) Claim(ctx context.Context, catalog string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if catalog == "" {
		return nil, errors.New("claim the store: the catalogue has no identity")
	}
	identities, err := s.claim(catalog)
	if err != nil {
		return nil, fmt.Errorf("claim the store for catalogue %s: %w", catalog, explain(err))
	}
	return identities, nil
}

func (s *Store) claim(catalog string) ([]string, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	path := filepath.Join(s.folder(catalogs), escape(catalog))
	err := s.do("create", path, func() error {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|noFollow, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
	if err != nil {
		return nil, err
	}
	if err := s.syncFolder(s.folder(catalogs)); err != nil {
		return nil, err
	}
	return s.claims()
}

// Claims returns the catalogues that refer to the store; see ingest.Claimer.
func (s *Store) Claims(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	identities, err := s.claims()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing was ever put here
	}
	if err != nil {
		return nil, fmt.Errorf("claims on the store: %w", explain(err))
	}
	return identities, nil
}

// claims returns the identities of all catalogues that refer to the store, sorted.
// A file that Claim cannot have made counts as one: it keeps gc from removing
// too much, and a person can see it. Only hidden files, which file managers leave, do not.
func (s *Store) claims() ([]string, error) {
	entries, err := os.ReadDir(s.folder(catalogs))
	if err != nil {
		return nil, err
	}
	var identities []string
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			identities = append(identities, unescape(entry.Name()))
		}
	}
	slices.Sort(identities)
	return identities, nil
}

const plainBytes = "abcdefghijklmnopqrstuvwxyz0123456789-_"

// escape turns an identity into a file name that every system takes: whatever
// is not a plain byte becomes %XX. Capitals too, for systems that do not tell them apart.
func escape(identity string) string {
	var name strings.Builder
	for i := range len(identity) {
		if c := identity[i]; strings.IndexByte(plainBytes, c) >= 0 {
			name.WriteByte(c)
		} else {
			fmt.Fprintf(&name, "%%%02X", c)
		}
	}
	return name.String()
}

// unescape is the reverse of escape; a name that escape cannot have made stays as it is.
func unescape(name string) string {
	var identity strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
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
