package ingest

import (
	"context"
	"slices"
	"strings"
)

// FindName is like FindModel, and also returns the name that reference means: itself, if it is a name
// of the model, or else the oldest name that has a file with this digest, or the oldest of all.
func FindName(ctx context.Context, reader Reader, reference string) (Summary, Name, error) {
	m, byName, err := FindNamed(ctx, reader, reference)
	if err != nil || len(m.Names) == 0 {
		return m, Name{Alias: Alias{Name: m.Name}}, err
	}
	has := func(n Name) bool { return n.Name == reference }
	if prefix, isPrefix, _ := digestReference(reference); !byName && isPrefix {
		has = func(n Name) bool {
			return slices.ContainsFunc(m.FilesOf(n), func(f StoredFile) bool {
				return strings.HasPrefix(f.Digest.String(), string(prefix))
			})
		}
	}
	return m, m.Names[max(0, slices.IndexFunc(m.Names, has))], nil
}
