package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// AmbiguousError says that a reference fits several models.
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

// FindModel returns the model that reference means: its ID, one of its names, or the SHA-256 of one
// of its files or the start of it. 64 digits, or 6 to 64 digits after sha256:, only mean content,
// because anybody can give a model such a name; fewer digits mean a name first. If several models
// fit, the error is an *AmbiguousError; if none does, ErrNotFound, wrapped.
func FindModel(ctx context.Context, reader Reader, reference string) (Summary, error) {
	m, _, err := FindNamed(ctx, reader, reference)
	return m, err
}

// FindNamed is like FindModel, and also reports whether reference is a name of the model.
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
			fmt.Errorf("model %q: %w: no file has this SHA-256 (if it is a model's name, use the model's id)",
				reference, ErrNotFound)
	}
	return Summary{}, false,
		fmt.Errorf("model %q: %w: ingest list shows all models (a SHA-256 needs at least %d digits)", reference,
			ErrNotFound, minPrefix)
}

// digestReference parses a reference as the start of a SHA-256. contentOnly is set if it cannot be
// a name.
func digestReference(reference string) (prefix DigestPrefix, isPrefix, contentOnly bool) {
	prefix, err := ParseDigestPrefix(reference)
	labelled := strings.HasPrefix(strings.ToLower(reference), "sha256:")
	return prefix, err == nil, err == nil && (labelled || len(prefix) == 2*len(Digest{}))
}

func ambiguous(ctx context.Context, reader Reader, reference string, fitting []ModelID) error {
	e := &AmbiguousError{Reference: reference}
	for _, id := range fitting {
		m, err := reader.Model(ctx, id)
		if err != nil {
			return err
		}
		e.Models = append(e.Models, m)
	}
	return e
}
