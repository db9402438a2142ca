package tdstest

import (
	"regexp"
	"slices"
	"strings"
)

// Table is a table of the server: a temporary one of a session, or one that the test has created.
type Table struct {
	Name    string
	Columns []Column
	Rows    [][]any
}

// CreateTable creates a table that all sessions see. Columns have the syntax of CREATE TABLE.
func (s *Server) CreateTable(name, columns string) {
	table := &Table{Name: name, Columns: Columns(columns)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tables[tableKey(name)] = table
}

// TableRows returns the rows of a table that the test has created.
func (s *Server) TableRows(name string) [][]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if table, ok := s.tables[tableKey(name)]; ok {
		return slices.Clone(table.Rows)
	}
	return nil
}

// Table returns a table by its name, a temporary one first, or error 208 if there is none. The caller
// must not change its rows.
func (r *Request) Table(name string) (*Table, error) {
	key := tableKey(name)
	if table, ok := r.Session.tables[key]; ok {
		return table, nil
	}
	if table, ok := r.Session.srv.tables[key]; ok {
		return table, nil
	}
	return nil, Err(208).with("%s", name)
}

// Insert checks rows and adds them to a table, in the transaction.
func (r *Request) Insert(table *Table, rows ...[]any) error {
	mine := make(map[*any]bool, len(rows))
	fitted := make([][]any, len(rows))
	for i, row := range rows {
		for n, column := range table.Columns {
			if row[n] == nil && !column.Nullable && !column.Filled {
				return Err(515).with("Column %s, table %s, row %d.", column.Name, table.Name, i+1)
			}
		}
		fitted[i] = slices.Clone(row)
		mine[&fitted[i][0]] = true
	}
	table.Rows = append(table.Rows, fitted...)
	r.OnRollback(func() {
		table.Rows = slices.DeleteFunc(table.Rows, func(row []any) bool { return mine[&row[0]] })
	})
	return nil
}

// Truncate removes all rows of a table, in the transaction.
func (r *Request) Truncate(table *Table) {
	before := table.Rows
	table.Rows = nil
	r.OnRollback(func() { table.Rows = before })
}

// tableKey returns the key of a table, which is the same for all forms of its name.
func tableKey(name string) string {
	parts := strings.Split(strings.ToLower(name), ".")
	return unquote(parts[len(parts)-1])
}

var (
	tableChange = regexp.MustCompile(`(?is)\b(create|drop|truncate)\s+table\s+(if\s+exists\s+)?` +
		`((?:tempdb\s*\.\s*\w*\s*\.\s*)?(?:\[#[^\]]+\]|#[\w@#$]+))\s*(\()?`)
	onlyIfNone = regexp.MustCompile(`(?is)\bobject_id\s*\([^)]*\)\s+is\s+null\s*(begin\s*)?$`)
	onlyIfSome = regexp.MustCompile(`(?is)\bobject_id\s*\([^)]*\)\s+is\s+not\s+null\s*(begin\s*)?$`)
)

// tableAct is one change of a temporary table in a statement.
type tableAct struct {
	verb, name string
	columns    string
	lenient    bool // it is no error if there is nothing to do
}

// temporary finds the changes of temporary tables in a statement. Those up to the last CREATE are made
// before the rest of the statement, the others after it.
func temporary(plain string) (before, after []tableAct) {
	var acts []tableAct
	last := 0
	for _, at := range tableChange.FindAllStringSubmatchIndex(plain, -1) {
		act := tableAct{verb: strings.ToLower(plain[at[2]:at[3]]), name: plain[at[6]:at[7]]}
		act.lenient = at[4] >= 0 || onlyIfNone.MatchString(plain[:at[0]]) || onlyIfSome.MatchString(plain[:at[0]])
		if act.verb == "create" && at[8] >= 0 {
			act.columns = parenthesis(plain[at[9]:])
		}
		acts = append(acts, act)
		if act.verb == "create" {
			last = len(acts)
		}
	}
	return acts[:last], acts[last:]
}

// parenthesis returns the text before the closing parenthesis.
func parenthesis(text string) string {
	depth, end := 1, len(text)
	scan(text, func(at int) int {
		switch text[at] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			end = at
			return len(text)
		}
		return 1
	})
	return text[:end]
}

func (s *Session) change(req *Request, acts []tableAct) error {
	for _, act := range acts {
		if err := s.changeTable(req, act); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) changeTable(req *Request, act tableAct) error {
	key := tableKey(act.name)
	table, exists := s.tables[key]
	switch {
	case act.verb == "create" && exists || act.verb != "create" && !exists:
		if act.lenient {
			return nil
		}
		number := map[string]int32{"create": 2714, "drop": 3701, "truncate": 4701}[act.verb]
		return Err(number).with("%s", act.name)
	case act.verb == "truncate":
		req.Truncate(table)
		return nil
	case act.verb == "drop":
		delete(s.tables, key)
		req.OnRollback(func() { s.tables[key] = table })
		return nil
	}
	columns, err := parseColumns(act.columns)
	if err != nil {
		return err
	}
	s.tables[key] = &Table{Name: unquote(act.name), Columns: columns}
	req.OnRollback(func() { delete(s.tables, key) })
	return nil
}
