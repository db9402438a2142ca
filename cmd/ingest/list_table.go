package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hartonomous/ingest/ingest"
)

// listRow is a model in the table of list, or a line of JSON.
type listRow struct {
	json     string
	files    int
	bytes    int64
	cells    []string
	name     string // the first one
	others   int    // other names
	complete bool
}

// The columns of list.
const (
	listName  = 1
	listState = 6
)

var listColumns = []column{{heading: "ID"}, {heading: "NAME", flex: true}, {heading: "FILE", flex: true, drop: 2},
	{heading: "QUANT", drop: 3}, {heading: "SIZE", drop: 4}, {heading: "PARAMS", drop: 1}, {heading: "STATE"}}

// longColumns follow with --long. Then no column is dropped.
var longColumns = []column{{heading: "FILES"}, {heading: "TENSORS"}, {heading: "SEGMENTS"}, {heading: "STORED"},
	{heading: "SHARED"}, {heading: "SAVED"}, {heading: "SHA-256"}}

// listTable prints the rows of list in parts, to bound memory.
type listTable struct {
	p       *program
	long    bool
	columns []column
	width   int // of the terminal, or 0
	rows    []listRow
	state   bool  // the column STATE is shown
	shown   []int // the columns of the last heading
	summary listSummary
}

func newListTable(p *program, long bool) *listTable {
	t := &listTable{p: p, long: long, columns: slices.Clone(listColumns), width: terminalColumns(p.stdout), state: long,
		summary: listSummary{summaryHead: newSummary()}}
	if long {
		for i := range t.columns {
			t.columns[i].drop = 0
		}
		t.columns = append(t.columns, longColumns...)
	}
	return t
}

// row returns the row of a model.
func (t *listTable) row(ctx context.Context, catalog ingest.Atoms, m listed) (listRow, error) {
	if t.p.json {
		return listRow{json: jsonText(objectOf(m)), files: len(m.Files), bytes: totalBytes(m.Summary)}, nil
	}
	names := shortNames(m.AllNames())
	file, digest := "", ""
	if len(m.Files) > 0 {
		file = shortName(m.Files[0].Name)
		if !m.Files[0].Digest.IsZero() {
			digest = m.Files[0].Digest.Short()
		}
	}
	row := listRow{name: names[0], others: len(names) - 1, complete: m.State == ingest.ModelComplete}
	row.cells = []string{fmt.Sprint(m.ID), strings.Join(names, ", "), file, ingest.Printable(m.quantization),
		human(totalBytes(m.Summary)), humanCount(m.Parameters), ingest.Printable(string(m.State))}
	if !t.long {
		return row, nil
	}
	stored, err := storedBytes(ctx, catalog, m.Summary)
	row.cells = append(row.cells, fmt.Sprint(len(m.Files)), fmt.Sprint(m.Tensors), fmt.Sprint(m.Segments), stored,
		human(m.BytesShared), human(m.BytesSaved), digest)
	return row, err
}

func (t *listTable) add(row listRow) {
	if t.p.json {
		t.summary.Models++
		t.summary.Files += row.files
		t.summary.Bytes += row.bytes
		fmt.Fprintln(t.p.stdout, row.json)
		return
	}
	if t.rows = append(t.rows, row); len(t.rows) == 1000 {
		t.print()
	}
}

// flush prints the remaining rows. The heading of an empty list is printed, too.
func (t *listTable) flush() {
	if !t.p.json && (len(t.rows) > 0 || t.shown == nil) {
		t.print()
	}
}

// print prints the pending rows. The heading is repeated if the columns have changed since the last one.
func (t *listTable) print() {
	t.state = t.state || slices.ContainsFunc(t.rows, func(r listRow) bool { return !r.complete })
	shown, widths := t.fit()
	var lines [][]string
	if !slices.Equal(shown, t.shown) {
		line := make([]string, len(shown))
		for k, i := range shown {
			line[k] = t.columns[i].heading
		}
		lines, t.shown = append(lines, line), shown
	}
	for _, r := range t.rows {
		line := make([]string, len(shown))
		for k, i := range shown {
			line[k] = r.cells[i]
			switch {
			case i == listName && r.others > 0 && textWidth(line[k]) > widths[i]:
				more := fmt.Sprintf(", +%d", r.others)
				line[k] = cutMiddle(r.name, widths[i]-len(more)) + more
			case t.columns[i].flex:
				line[k] = cutMiddle(line[k], widths[i])
			}
		}
		lines = append(lines, line)
	}
	writeColumns(t.p.stdout, lines)
	t.rows = t.rows[:0]
}

// fit returns the columns for the pending rows, and their widths.
func (t *listTable) fit() (shown, widths []int) {
	widest := make([]int, len(t.columns))
	for i, c := range t.columns {
		widest[i] = len(c.heading)
		for _, r := range t.rows {
			widest[i] = max(widest[i], textWidth(r.cells[i]))
		}
	}
	if !t.state { // it is the last column
		return fit(t.columns[:listState], widest[:listState], t.width)
	}
	return fit(t.columns, widest, t.width)
}

func shortNames(names []string) []string {
	short := make([]string, len(names))
	for i, name := range names {
		short[i] = shortName(name)
	}
	return short
}
