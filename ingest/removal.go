package ingest

import (
	"fmt"
	"strings"
)

// Removal is what removing a model would do.
type Removal struct {
	Model   Summary
	Freed   int64         // bytes of payloads that only this model needs
	InRows  int64         // of Freed, the bytes in rows, which are deleted with the model
	Shared  int64         // bytes of payloads that other models also need
	Foreign []ForeignRows // in tables of other programs
}

// ForeignRows are rows of another program's table that refer to a model by a foreign key, directly
// or through other rows.
type ForeignRows struct {
	Table, Column string
	Refers        string // the table that the column refers to
	Rows          int64
}

// ForeignRowsError says that a model cannot be removed because rows of other programs refer to it.
type ForeignRowsError struct {
	Model ModelID
	Rows  []ForeignRows
}

func (e *ForeignRowsError) Error() string {
	var list []string
	for _, r := range e.Rows {
		list = append(list, fmt.Sprintf("%d of %s (by %s, to %s)", r.Rows, r.Table, r.Column, r.Refers))
	}
	return fmt.Sprintf("rows of other programs refer to model %d: %s; --cascade removes them as well", e.Model,
		strings.Join(list, ", "))
}
