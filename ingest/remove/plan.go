// Package remove removes models and their names from a catalogue, and renames them.
//
// A Plan describes a removal for confirmation. Remover does what the plan says and nothing else.
// Payloads that no row needs stay in their store until gc deletes them.
package remove

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/hartonomous/ingest/ingest"
)

// Plan is a removal of models and names.
type Plan struct {
	Models     []ingest.Removal
	Names      []Name // of models that keep other names
	references []string
}

// Name is a name to remove.
type Name struct {
	Name  string
	Model ingest.Summary
}

// Left returns the names that the model keeps.
func (n Name) Left(plan *Plan) []string {
	return slices.DeleteFunc(n.Model.AllNames(), func(name string) bool {
		return slices.ContainsFunc(plan.Names, func(o Name) bool { return o.Name == name && o.Model.ID == n.Model.ID })
	})
}

// NewPlan plans the removal of what references mean. A name of a model with other names means the
// name only; all names of a model together mean the model.
func NewPlan(ctx context.Context, catalog ingest.Catalog, references []string) (*Plan, error) {
	var order []ingest.ModelID
	models, whole, names := map[ingest.ModelID]ingest.Summary{}, map[ingest.ModelID]bool{},
		map[ingest.ModelID][]string{}
	var unknown error
	for _, reference := range references {
		m, name, err := ingest.FindNamed(ctx, catalog, reference)
		if err != nil {
			unknown = errors.Join(unknown, err)
			continue
		}
		if _, ok := models[m.ID]; !ok {
			models[m.ID] = m
			order = append(order, m.ID)
		}
		if name == "" {
			whole[m.ID] = true
		} else if !slices.Contains(names[m.ID], name) {
			names[m.ID] = append(names[m.ID], name)
		}
	}
	if unknown != nil {
		return nil, unknown
	}
	plan := &Plan{references: references}
	for _, id := range order {
		m := models[id]
		if !whole[id] && len(names[id]) < len(m.AllNames()) {
			for _, name := range names[id] {
				plan.Names = append(plan.Names, Name{name, m})
			}
			continue
		}
		removal, err := catalog.Removal(ctx, id)
		if err != nil {
			return nil, err
		}
		plan.Models = append(plan.Models, removal)
	}
	return plan, nil
}

// Refusal returns the error of running the plan, with or without Cascade, if rows of other programs
// that refer to the models prevent it; otherwise nil.
func (p *Plan) Refusal(cascade bool) error {
	var all error
	for _, m := range p.Models {
		refused := &ingest.ForeignRowsError{Model: m.Model.ID, Rows: m.Foreign}
		if refused.Refuses(cascade) {
			all = errors.Join(all, refused)
		}
	}
	return all
}

// Freed returns a lower bound of the bytes of payloads that no row needs after the removal, and how
// many of them are in rows. It does not count payloads that only models of the plan share.
func (p *Plan) Freed() (bytes, inRows int64) {
	for _, m := range p.Models {
		bytes += min(m.Freed, math.MaxInt64-bytes)
		inRows += min(m.InRows, math.MaxInt64-inRows)
	}
	return bytes, inRows
}

// covers reports whether other removes nothing that p does not remove.
func (p *Plan) covers(other *Plan) bool {
	sameName := func(a, b Name) bool { return a.Name == b.Name && a.Model.ID == b.Model.ID }
	sameRows := func(a, b ingest.ForeignRows) bool { return a.Table == b.Table && a.Column == b.Column }
	sameModel := func(a, b ingest.Removal) bool {
		return a.Model.ID == b.Model.ID && slices.Equal(a.Model.AllNames(), b.Model.AllNames()) &&
			slices.EqualFunc(a.Foreign, b.Foreign, sameRows)
	}
	return slices.EqualFunc(p.Names, other.Names, sameName) && slices.EqualFunc(p.Models, other.Models, sameModel)
}
