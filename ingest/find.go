package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// AmbiguousError: a reference fits several models.
type AmbiguousError struct {
	Reference string
	Models    []Summary
}

func (e *AmbiguousError) Error() string {
	text := fmt.Sprintf("%q fits %d models:", e.Reference, len(e.Models))
	for _, m := range e.Models {
		text += fmt.Sprintf(" %d (%s)", m.ID, Printable(m.Name))
	}
	return text + ": name one by its id"
}

// FindModel returns the model that reference means: its id, one of its names, or
// the SHA-256 (or a unique prefix of at least 6 digits) of one of its files. A name goes before a digest. One that
// fits several is an *AmbiguousError; one that fits none is ErrNotFound, wrapped.
func FindModel(ctx context.Context, library Reader, reference string) (Summary, error) {
	if id, err := strconv.ParseInt(reference, 10, 64); err == nil {
		if m, err := library.Model(ctx, ModelID(id)); err == nil || !errors.Is(err, ErrNotFound) {
			return m, err
		}
	}
	var named, hashed []Summary
	for m, err := range library.Models(ctx) {
		if err != nil {
			return Summary{}, err
		}
		switch {
		case m.hasName(reference):
			named = append(named, m)
		case m.hasDigest(reference):
			hashed = append(hashed, m)
		}
	}
	if len(named) == 0 {
		named = hashed
	}
	switch len(named) {
	case 0:
		return Summary{}, fmt.Errorf("model %q: %w: ingest list shows what there is (of a SHA-256, give at least %d digits)", reference, ErrNotFound, minPrefix)
	case 1:
		return library.Model(ctx, named[0].ID) // with its metadata
	default:
		return Summary{}, &AmbiguousError{reference, named}
	}
}

func (m *Summary) hasName(name string) bool {
	if m.Name == name {
		return true
	}
	for _, n := range m.Names {
		if n.Name == name {
			return true
		}
	}
	return false
}

func (m *Summary) hasDigest(prefix string) bool {
	prefix = strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(prefix), "sha256:"), "sha256-")
	if len(prefix) < minPrefix {
		return false
	}
	for _, f := range m.Files {
		if !f.Digest.IsZero() && strings.HasPrefix(f.Digest.String(), prefix) {
			return true
		}
	}
	return false
}
