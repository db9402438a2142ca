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

// FindModel returns the model that reference means: its id, one of its names, or the SHA-256 of one of its files or the
// beginning of it. 64 digits, and sha256: before 6 to 64 digits, mean content and never a name, which anybody can give
// to anything; fewer digits alone mean a name first. If several models fit, the error is an *AmbiguousError; if none
// does, it is ErrNotFound, wrapped.
func FindModel(ctx context.Context, reader Reader, reference string) (Summary, error) {
	m, _, err := FindNamed(ctx, reader, reference)
	return m, err
}

// FindNamed is FindModel that says as well whether reference is a name of the model.
func FindNamed(ctx context.Context, reader Reader, reference string) (m Summary, byName bool, err error) {
	if id, err := strconv.ParseInt(reference, 10, 64); err == nil {
		if m, err := reader.Model(ctx, ModelID(id)); err == nil || !errors.Is(err, ErrNotFound) {
			return m, false, err
		}
	}
	prefix, isPrefix, contentOnly := digestReference(reference)
	var fitting []ModelID
	if !contentOnly {
		fitting, err = reader.ModelsNamed(ctx, reference)
		byName = len(fitting) > 0
	}
	if err == nil && len(fitting) == 0 && isPrefix {
		fitting, err = reader.ModelsWithDigest(ctx, prefix)
	}
	switch {
	case err != nil:
		return Summary{}, false, err
	case len(fitting) == 1:
		m, err = reader.Model(ctx, fitting[0])
		return m, byName, err
	case len(fitting) > 1:
		return Summary{}, byName, ambiguous(ctx, reader, reference, fitting)
	case contentOnly:
		return Summary{}, false,
			fmt.Errorf("model %q: %w: no file has this SHA-256 (a model that is named like one goes by its id)",
				reference, ErrNotFound)
	}
	return Summary{}, false,
		fmt.Errorf("model %q: %w: ingest list shows what there is (of a SHA-256, give at least %d digits)", reference,
			ErrNotFound, minPrefix)
}

// digestReference reads a reference as the beginning of a SHA-256. contentOnly is set if it cannot mean a name.
func digestReference(reference string) (prefix DigestPrefix, isPrefix, contentOnly bool) {
	prefix, err := ParseDigestPrefix(reference)
	said := strings.HasPrefix(strings.ToLower(reference), "sha256:")
	return prefix, err == nil, err == nil && (said || len(prefix) == 2*len(Digest{}))
}

func ambiguous(ctx context.Context, reader Reader, reference string, fitting []ModelID) error {
	several := &AmbiguousError{Reference: reference}
	for _, id := range fitting {
		m, err := reader.Model(ctx, id)
		if err != nil {
			return err
		}
		several.Models = append(several.Models, m)
	}
	return several
}
