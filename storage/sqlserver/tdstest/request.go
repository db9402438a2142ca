package tdstest

import (
	"context"
	"fmt"
	"strings"
)

// Request is one statement on its way through the server. It is the handler's
// until the handler returns.
type Request struct {
	SQL     string // the statement; for a procedure called by name, the name
	Params  []Param
	Session *Session

	proc  bool // called by RPC: with parameters, or a procedure by its name
	abort bool // XACT_ABORT was on while it ran
	ctx   context.Context
	mark  int          // effects of the transaction when this request began
	tran  *transaction // the session's then, or the statement's own
	own   bool         // tran is the statement's own
	told  []func(output)
}

// Param is a parameter as it came. Values are nil (NULL), bool, int64, float64,
// string (decimals too), []byte, time.Time and [GUID].
type Param struct {
	Name   string // without @
	Type   Type
	Value  any
	Output bool
}

// Context ends when the client cancels the request or hangs up.
func (r *Request) Context() context.Context { return r.ctx }

// Param returns the value of a parameter by its name, without @. A parameter
// that did not come fails the test: NULL, in contrast, is nil.
func (r *Request) Param(name string) any {
	for _, param := range r.Params {
		if strings.EqualFold(param.Name, name) {
			return param.Value
		}
	}
	r.Session.srv.t.Errorf("no parameter @%s in %.100q", name, r.SQL)
	return nil
}

// Get returns the value of a parameter as what it should be. NULL is the zero
// value; any other type than T fails the test.
func Get[T any](r *Request, name string) T {
	value := r.Param(name)
	typed, ok := value.(T)
	if !ok && value != nil {
		r.Session.srv.t.Errorf("parameter @%s is a %T, not a %T, in %.100q", name, value, typed, r.SQL)
	}
	return typed
}

// OnRollback has act done when the transaction, or this statement alone, is
// taken back; the last one said is done first.
func (r *Request) OnRollback(act func()) {
	tran := r.transaction()
	tran.undo = append(tran.undo, act)
}

// OnCommit has act done when the transaction is committed.
func (r *Request) OnCommit(act func()) {
	tran := r.transaction()
	tran.done = append(tran.done, act)
}

// transaction is where effects belong: the session's transaction, also one
// that this very request has begun, or else the statement's own.
func (r *Request) transaction() *transaction {
	if r.Session.tran != nil {
		return r.Session.tran
	}
	return r.tran
}

// begin marks the point to which a failure takes this statement back.
func (r *Request) begin() {
	r.tran = r.Session.tran
	if r.tran == nil {
		r.tran, r.own = &transaction{}, true
		return
	}
	r.mark = len(r.tran.undo)
}

// finish settles what the statement did, and returns its error.
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

// tell adds something for the client to the answer, ahead of results.
func (r *Request) tell(what func(output)) { r.told = append(r.told, what) }

// Result is the answer to a statement.
type Result struct {
	Sets []Set
	// rows, by statements that return none; @@ROWCOUNT, for a SELECT at the end that asks for it
	Affected int64
	Triggers int64          // rows that triggers changed on the way: they are counted, too
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

// Rows answers with one result set. Columns are written as in CREATE TABLE:
// "AtomId bigint not null, Hash binary(32)".
func Rows(columns string, rows ...[]any) Result {
	return Result{Sets: []Set{{Columns: Columns(columns), Rows: rows}}}
}

// And adds a result set.
func (r Result) And(columns string, rows ...[]any) Result {
	r.Sets = append(r.Sets, Set{Columns: Columns(columns), Rows: rows})
	return r
}

// settle checks that each value fits its column, before any of it is sent.
func (r *Result) settle() error {
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
