package ingest

import (
	"context"
	"slices"
	"strings"
)

// FindName is FindModel for a command that needs one name of the model and its files: the name that
// reference means, or else the oldest name that has a file with this digest, or the oldest of all.
func FindName(ctx context.Context, reader Reader, reference string) (Summary, Name, error) {
	m, name, _, err := find(ctx, reader, reference)
	if err != nil || len(m.Names) == 0 {
		return m, Name{Alias: Alias{Name: m.Name}}, err
	}
	has := func(n Name) bool { return n.Name == name }
	if prefix, isPrefix, _ := digestReference(reference); name == "" && isPrefix {
		has = func(n Name) bool {
			return slices.ContainsFunc(m.FilesOf(n), func(f StoredFile) bool {
				return strings.HasPrefix(f.Digest.String(), string(prefix))
			})
		}
	}
	return m, m.Names[max(0, slices.IndexFunc(m.Names, has))], nil
}
