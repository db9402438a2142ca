package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/remove"
)

// printRmPlan lists what rm would remove. A user who is asked to confirm sees it even with --quiet.
func (p *program) printRmPlan(plan *remove.Plan, ask bool) {
	if p.quiet && !p.json && !ask {
		return
	}
	for _, n := range plan.Names {
		p.printRmName("would remove name", n, plan)
	}
	for _, m := range plan.Models {
		if p.json {
			p.printJSON(removalOf("would remove", m))
			continue
		}
		p.printRmModel(m)
	}
}

func (p *program) removedName(n remove.Name, plan *remove.Plan, sum *rmSummary) {
	sum.Names++
	sum.Removed = true
	if p.json || !p.quiet {
		p.printRmName("removed name", n, plan)
	}
}

func (p *program) printRmName(event string, n remove.Name, plan *remove.Plan) {
	left := n.Left(plan)
	p.emit(removedName{event, n.Model.ID, n.Name, list(left)},
		"%s  %s  of model %d, which keeps %s\n", event, ingest.Printable(n.Name), n.Model.ID, printableList(left))
}

// printRmModel lists a model with its names, its files and what refers to it.
func (p *program) printRmModel(m ingest.Removal) {
	state := ""
	if m.Model.State != ingest.ModelComplete {
		state = ", " + string(m.Model.State)
	}
	fmt.Fprintf(p.stdout, "would remove  model %d  %s  (%s in %s%s)\n", m.Model.ID, shortName(m.Model.Name),
		human(totalBytes(m.Model)), plural(len(m.Model.Files), "file"), state)
	rows := [][]any{}
	for _, name := range shortNames(m.Model.AllNames()) {
		rows = append(rows, []any{"  name", name})
	}
	for _, f := range m.Model.Files {
		rows = append(rows, []any{"  file", f.Name, string(f.Role), human(f.Bytes)})
	}
	p.table(rows)
	if m.InRows > 0 {
		fmt.Fprintf(p.stdout, "  rm frees %s in rows\n", human(m.InRows))
	}
	if m.OnlyCopies > 0 {
		fmt.Fprintf(p.stdout, "  %s stored whole, without a path: this is the only copy that the catalogue knows\n",
			plural(m.OnlyCopies, "file"))
	}
	if m.Model.State == ingest.ModelRegistered {
		fmt.Fprintf(p.stdout, "  files at their paths stay; gc frees %s of copies in a store\n",
			human(m.Freed-m.InRows))
	} else if inStore := m.Freed - m.InRows; inStore+m.Shared > 0 || m.InRows == 0 {
		fmt.Fprintf(p.stdout, "  gc frees %s that only this model needs; %s that other models need stay\n",
			human(inStore), human(m.Shared))
	}
	for _, r := range m.Foreign {
		fmt.Fprintf(p.stdout, "  %s of another program: %s.%s refers to %s\n", plural(int(r.Rows), "row"),
			ingest.Printable(r.Table), ingest.Printable(r.Column), ingest.Printable(r.Refers))
	}
}

func (p *program) removed(m ingest.Removal, sum *rmSummary) {
	sum.Models++
	sum.BytesFreed += min(m.Freed, math.MaxInt64-sum.BytesFreed)
	sum.Removed = true
	if p.json || !p.quiet {
		p.emit(removalOf("removed", m), "removed  model %d  %s\n", m.Model.ID, shortName(m.Model.Name))
	}
}

// printRmTotals prints how much is or would be removed, and how much gc frees.
func (p *program) printRmTotals(plan *remove.Plan, removed bool) {
	freed, inRows := plan.Freed()
	verb := "would remove"
	if removed {
		verb = "removed"
	}
	p.printf("%s: %s, %s", verb, plural(len(plan.Models), "model"), plural(len(plan.Names), "name"))
	if inRows > 0 {
		p.printf("; %s in rows", human(inRows))
	}
	if len(plan.Models) > 0 && (freed > inRows || inRows == 0) {
		p.printf("; `ingest gc --yes` frees %s", human(freed-inRows))
	}
	p.printf("\n")
}

// removalOf returns a removed model as --json prints it.
func removalOf(event string, m ingest.Removal) removalObject {
	files := make([]removedFile, len(m.Model.Files))
	for i, f := range m.Model.Files {
		files[i] = removedFile{f.Name, f.Role, f.Bytes, f.Digest}
	}
	foreign := make([]foreignRows, len(m.Foreign))
	for i, r := range m.Foreign {
		foreign[i] = foreignRows{r.Table, r.Column, r.Refers, r.Rows}
	}
	return removalObject{event, m.Model.ID, m.Model.Name, m.Model.State, m.Model.AllNames(), files,
		totalBytes(m.Model), m.Freed, m.Shared, m.OnlyCopies, foreign}
}

func printableList(names []string) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = ingest.Printable(name)
	}
	return strings.Join(all, ", ")
}
