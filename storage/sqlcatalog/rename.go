package sqlcatalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

var (
	removeName = shared("remove-name", `DELETE FROM dbo.ModelNames WHERE ModelId = @p1 AND {same Name 2}`)
	renameRow  = shared("rename",
		`UPDATE dbo.ModelNames SET {setkey Name 3}{set Name 4} WHERE ModelId = @p1 AND {same Name 2}`)
	renameMain = shared("rename-model", `UPDATE dbo.Models SET {set ModelName 2} WHERE ModelId = @p1`)
)

// RemoveName implements ingest.Maintenance.
func (c *Catalog) RemoveName(ctx context.Context, lease ingest.Lease, model ingest.ModelID, name string) error {
	return c.writeUnder(ctx, lease, func(t *Tx) error {
		m, err := t.lockedSummary(model)
		if err != nil || !hasName(&m, name) {
			return err
		}
		if len(m.Names) == 1 {
			return fmt.Errorf("%q is the only name of model %d: remove the model", name, model)
		}
		if err := t.Exec(removeName, model, Key{name}); err != nil || m.Name != name {
			return err
		}
		first := slices.IndexFunc(m.Names, func(n ingest.Name) bool { return n.Name != name })
		return t.renameMain(model, m.Names[first].Name)
	})
}

// Rename implements ingest.Maintenance.
func (c *Catalog) Rename(ctx context.Context, lease ingest.Lease, model ingest.ModelID, from, to string) error {
	return c.writeUnder(ctx, lease, func(t *Tx) error {
		m, err := t.lockedSummary(model)
		switch {
		case err != nil:
			return err
		case !hasName(&m, from) && hasName(&m, to): // by an earlier call
			return nil
		case !hasName(&m, from):
			return fmt.Errorf("name %q of model %d: %w", from, model, ingest.ErrNotFound)
		case from == to:
			return nil
		case hasName(&m, to):
			return fmt.Errorf("model %d already has the name %q: remove one of the two", model, to)
		}
		name := Text{Column: "ModelNames.Name", Value: to}
		if err := t.Exec(renameRow, model, Key{from}, Key{to}, name); err != nil || m.Name != from {
			return err
		}
		return t.renameMain(model, to)
	})
}

// renameMain sets the name that other programs read.
func (t *Tx) renameMain(model ingest.ModelID, name string) error {
	return t.Exec(renameMain, model, Text{Column: "Models.ModelName", Value: name})
}

// lockedSummary locks and reads a model. It returns ErrNotFound if the model is being removed.
func (t *Tx) lockedSummary(model ingest.ModelID) (ingest.Summary, error) {
	state, _, err := t.state(model)
	if err == nil && state == ingest.ModelRemoving {
		err = fmt.Errorf("model %d is being removed: %w", model, ingest.ErrNotFound)
	}
	if err != nil {
		return ingest.Summary{}, err
	}
	return t.summary(model)
}

func hasName(m *ingest.Summary, name string) bool {
	return slices.ContainsFunc(m.Names, func(n ingest.Name) bool { return n.Name == name })
}
