package tdstest

import (
	"context"
	"fmt"
	"strings"
)

// Request is one request of a client. A handler must not use it after it has returned.
type Request struct {
	SQL     string // the statement; for a procedure called by name, the name
	Params  []Param
	Session *Session

	proc  bool // called by RPC: with parameters, or a procedure by its name
	abort bool // XACT_ABORT was on while it ran
	ctx   context.Context
	mark  int          // length of the transaction's undo list when this request began
	tran  *transaction // the session's when this request began, or the statement's own
	own   bool         // tran is the statement's own
	told  []func(output)
}

// Param is a parameter. Values are nil (NULL), bool, int64, float64, string (also for decimals),
// []byte, time.Time and [GUID].
type Param struct {
	Name   string // without @
	Type   Type
	Value  any
	Output bool
}

// Context ends when the client cancels the request or hangs up.
func (r *Request) Context() context.Context { return r.ctx }

// Param returns the value of the parameter with that name, without @; nil is NULL. A missing
// parameter fails the test.
func (r *Request) Param(name string) any {
	for _, param := range r.Params {
		if strings.EqualFold(param.Name, name) {
			return param.Value
		}
	}
	r.Session.srv.t.Errorf("no parameter @%s in %.100q", name, r.SQL)
	return nil
}

// Get returns the value of a parameter as a T. NULL is the zero value; another type fails the test.
func Get[T any](r *Request, name string) T {
	value := r.Param(name)
	typed, ok := value.(T)
	if !ok && value != nil {
		r.Session.srv.t.Errorf("parameter @%s is a %T, not a %T, in %.100q", name, value, typed, r.SQL)
	}
	return typed
}

// OnRollback registers act to be called when the transaction, or this statement alone, is rolled
// back. The last one registered is called first.
func (r *Request) OnRollback(act func()) {
	tran := r.transaction()
	tran.undo = append(tran.undo, act)
}

// OnCommit registers act to be called when the transaction is committed.
func (r *Request) OnCommit(act func()) {
	tran := r.transaction()
	tran.done = append(tran.done, act)
}

// transaction returns the session's transaction, which this request may have begun, or else the
// statement's own.
func (r *Request) transaction() *transaction {
	if r.Session.tran != nil {
		return r.Session.tran
	}
	return r.tran
}

// begin sets the point to which a failure rolls this statement back.
func (r *Request) begin() {
	r.tran = r.Session.tran
	if r.tran == nil {
		r.tran, r.own = &transaction{}, true
		return
	}
	r.mark = len(r.tran.undo)
}

// finish commits or rolls back the effects of the statement, and returns its error.
func (r *Request) finish(err error) error {
	s := r.Session
	switch {
	case r.own && err != nil:
		r.tran.rollback(s.srv)
	case r.own:
		r.tran.commit(s.srv)
	case err != nil && s.tran == r.tran:
		r.tran.undoTo(r.mark)
	}
	if err != nil {
		s.doom(r, err)
	}
	return err
}

// tell adds a message to the client to the answer, before the results.
func (r *Request) tell(what func(output)) { r.told = append(r.told, what) }

// Result is the answer to a statement.
type Result struct {
	Sets     []Set
	Affected int64          // number of rows; @@ROWCOUNT if the statement ends with SELECT @@ROWCOUNT
	Triggers int64          // rows changed by triggers, which the server counts as well
	Status   int32          // a procedure's
	Output   map[string]any // output parameters, by name without @
}

// Set is one result set.
type Set struct {
	Columns []Column
	Rows    [][]any
}

// Affected answers a statement that returns no rows.
func Affected(rows int64) Result { return Result{Affected: rows} }

// Rows answers with one result set. Columns have the syntax of CREATE TABLE: "AtomId bigint not null,
// Hash binary(32)".
func Rows(columns string, rows ...[]any) Result {
	return Result{Sets: []Set{{Columns: Columns(columns), Rows: rows}}}
}

// And adds a result set.
func (r Result) And(columns string, rows ...[]any) Result {
	r.Sets = append(r.Sets, Set{Columns: Columns(columns), Rows: rows})
	return r
}

// fit converts each value to the type of its column, before any of them is sent.
func (r *Result) fit() error {
	for i, set := range r.Sets {
		fitted := make([][]any, len(set.Rows))
		for n, row := range set.Rows {
			if len(row) != len(set.Columns) {
				return Errorf("row %d has %d values for %d columns", n, len(row), len(set.Columns))
			}
			var err error
			if fitted[n], err = fitRow(set.Columns, row); err != nil {
				return err
			}
		}
		r.Sets[i].Rows = fitted
	}
	return nil
}

func fitRow(columns []Column, row []any) ([]any, error) {
	fitted := make([]any, len(row))
	for i, column := range columns {
		value, err := column.Type.fit(row[i])
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", column.Name, err)
		}
		if value == nil && !column.Nullable {
			return nil, fmt.Errorf("column %s: NULL in a column that is not null", column.Name)
		}
		fitted[i] = value
	}
	return fitted, nil
}
