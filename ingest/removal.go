package ingest

import (
	"fmt"
	"slices"
	"strings"
)

// Removal is what removing a model would do.
type Removal struct {
	Model   Summary
	Freed   int64         // bytes of payloads, of segments and of whole files, that only this model needs
	InRows  int64         // of Freed, the bytes in rows, which are deleted with the model
	Shared  int64         // bytes of payloads that other models also need
	Foreign []ForeignRows // in tables of other programs
	// OnlyCopies is the number of files that are stored whole and have no path: what is removed is the
	// only copy that the catalogue knows.
	OnlyCopies int
}

// ForeignRows are rows of another program's table that refer to a model by a foreign key, directly
// or through other rows.
type ForeignRows struct {
	Table, Column string
	Refers        string // the table that the column refers to
	Rows          int64
	// Circular: these rows refer to others of their own table, or two tables refer to each other.
	// Remove cannot delete them, not even with cascade.
	Circular bool
}

// ForeignRowsError says that a model cannot be removed because rows of other programs refer to it.
type ForeignRowsError struct {
	Model ModelID
	Rows  []ForeignRows
}

// Refuses reports whether the rows prevent a removal, with or without cascade.
func (e *ForeignRowsError) Refuses(cascade bool) bool {
	return len(e.Rows) > 0 && !cascade || e.circular() != nil
}

// circular returns the tables with rows that refer to each other.
func (e *ForeignRowsError) circular() (tables []string) {
	for _, r := range e.Rows {
		if r.Circular && !slices.Contains(tables, r.Table) {
			tables = append(tables, r.Table)
		}
	}
	return tables
}

func (e *ForeignRowsError) Error() string {
	var list []string
	for _, r := range e.Rows {
		list = append(list, fmt.Sprintf("%d of %s (by %s, to %s)", r.Rows, r.Table, r.Column, r.Refers))
	}
	text := fmt.Sprintf("rows of other programs refer to model %d: %s; ", e.Model, strings.Join(list, ", "))
	if tables := e.circular(); tables != nil {
		return text + "--cascade cannot remove rows that refer to each other: delete those of " +
			strings.Join(tables, " and ") + " first"
	}
	return text + fmt.Sprintf("`ingest rm %d --cascade` removes them as well", e.Model)
}
