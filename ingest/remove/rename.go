package remove

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/lease"
)

// CheckName refuses a name that commands would interpret as an id or a SHA-256.
func CheckName(name string) error {
	_, err := strconv.ParseInt(name, 10, 64)
	prefix, notDigest := ingest.ParseDigestPrefix(name)
	switch {
	case strings.TrimSpace(name) == "":
		return errors.New("a name cannot be empty")
	case err == nil:
		return fmt.Errorf("name %s: a number is always a model's id: choose a name with a letter", name)
	case notDigest == nil && (len(prefix) == 2*len(ingest.Digest{}) ||
		strings.HasPrefix(strings.ToLower(name), "sha256:")):
		return fmt.Errorf("name %s: this is always a SHA-256: choose another name", name)
	}
	return nil
}

// Renamer renames models.
type Renamer struct {
	Catalog ingest.Catalog
	// Descriptions and Outdated are those of Remover.
	Descriptions []ingest.DescriptionStore
	Outdated     func(error)
	Log          *slog.Logger
}

// Rename changes a name of a model, as the job that request asks for: the name that reference is,
// or the only name of the model that it means. It returns the model before the change, and the old
// name. It refuses a name that means another model.
func (r *Renamer) Rename(ctx context.Context, request ingest.JobRequest, reference, to string) (
	m ingest.Summary, from string, err error) {
	if err := CheckName(to); err != nil {
		return m, "", err
	}
	err = lease.Run(ctx, r.Catalog, request, r.Log, func(ctx context.Context, job ingest.Lease) error {
		m, from, err = r.rename(ctx, job, reference, to)
		return err
	}, nil)
	return m, from, err
}

func (r *Renamer) rename(ctx context.Context, job ingest.Lease, reference, to string) (ingest.Summary, string, error) {
	m, from, err := r.find(ctx, reference)
	if err == nil {
		err = r.checkFree(ctx, m, from, to)
	}
	if err == nil {
		err = r.Catalog.Rename(ctx, job, m.ID, from, to)
	}
	if err == nil && m.State == ingest.ModelComplete {
		changes{changed: []ingest.ModelID{m.ID}}.describe(ctx, r.Catalog, r.Descriptions, r.Outdated)
	}
	return m, from, err
}

func (r *Renamer) find(ctx context.Context, reference string) (m ingest.Summary, from string, err error) {
	m, name, err := ingest.FindNamed(ctx, r.Catalog, reference)
	if err != nil || name != "" {
		return m, name, err
	}
	names := m.AllNames()
	if len(names) > 1 {
		return m, "", fmt.Errorf("model %d has %d names: give the one to change: %q", m.ID, len(names), names)
	}
	return m, names[0], nil
}

// checkFree refuses a name that is taken.
func (r *Renamer) checkFree(ctx context.Context, m ingest.Summary, from, to string) error {
	if from == to {
		return nil
	}
	if slices.Contains(m.AllNames(), to) {
		return fmt.Errorf("model %d already has the name %q: `ingest rm %s` removes the other one", m.ID, to, from)
	}
	others, err := r.Catalog.ModelsNamed(ctx, to)
	switch {
	case err != nil:
		return err
	case len(others) == 0:
		return r.checkTag(ctx, m, to)
	case len(others) > 1:
		return fmt.Errorf("%d models already have the name %q: choose another", len(others), to)
	}
	return fmt.Errorf("model %d already has the name %q: choose another, or rename that model first", others[0], to)
}

// checkTag refuses a name that means another model until now, because ":latest" may be omitted.
func (r *Renamer) checkTag(ctx context.Context, m ingest.Summary, to string) error {
	for _, name := range ingest.NamesMeant(to)[1:] {
		others, err := r.Catalog.ModelsNamed(ctx, name)
		if err != nil {
			return err
		}
		for _, other := range others {
			if other != m.ID {
				return fmt.Errorf("model %d has the name %q, and %q means it, too: choose another", other, name, to)
			}
		}
	}
	return nil
}
