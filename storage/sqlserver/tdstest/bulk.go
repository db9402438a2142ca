package tdstest

import (
	"context"
	"regexp"
	"strings"
)

// bulkTarget is the table and the columns that a client has announced with INSERT BULK.
type bulkTarget struct {
	table   *Table
	columns []Column
}

var (
	fmtOnlyOn  = regexp.MustCompile(`(?is)^\s*set\s+fmtonly\s+on\s*;?\s*$`)
	fmtOnlyOff = regexp.MustCompile(`(?is)^\s*set\s+fmtonly\s+off\s*;?\s*$`)
	describe   = regexp.MustCompile(`(?is)^\s*select\s+\*\s+from\s+(\S+)\s+set\s+fmtonly\s+off\s*$`)
	insertBulk = regexp.MustCompile(`(?is)^\s*insert\s+bulk\s+(\S+)\s*\(`)
)

// driverStatement answers the statements with which the driver prepares a bulk copy: it queries the
// columns of the table, and then announces the rows.
func (s *Session) driverStatement(req *Request, plain string) (Result, error, bool) {
	switch {
	case fmtOnlyOn.MatchString(plain):
		s.fmtOnly = true
		return Result{}, nil, true
	case fmtOnlyOff.MatchString(plain):
		s.fmtOnly = false
		return Result{}, nil, true
	case describe.MatchString(plain):
		table, err := req.Table(describe.FindStringSubmatch(plain)[1])
		if err != nil {
			return Result{}, err, true
		}
		s.fmtOnly = false
		return Result{Sets: []Set{{Columns: table.Columns}}}, nil, true
	case insertBulk.MatchString(plain):
		return Result{}, s.announce(req, plain), true
	}
	return Result{}, nil, false
}

// announce reads INSERT BULK and sets the target of the rows that follow.
func (s *Session) announce(req *Request, plain string) error {
	at := insertBulk.FindStringSubmatchIndex(plain)
	table, err := req.Table(plain[at[2]:at[3]])
	if err != nil {
		return err
	}
	declared, err := parseColumns(parenthesis(plain[at[1]:]))
	if err != nil {
		return err
	}
	for _, column := range declared {
		own := find(table.Columns, column.Name)
		if own < 0 {
			return Err(207).with("%s", column.Name)
		}
		if table.Columns[own].Type != column.Type {
			return Err(4816).with("%s is declared %s, not %s.", column.Name, column.Type, table.Columns[own].Type)
		}
	}
	s.bulk = &bulkTarget{table, declared}
	return nil
}

func find(columns []Column, name string) int {
	for i, column := range columns {
		if strings.EqualFold(column.Name, name) {
			return i
		}
	}
	return -1
}

// bulkLoad reads the rows of a bulk copy and stores them.
func (s *Session) bulkLoad(ctx context.Context, m *message) error {
	s.srv.mu.Lock()
	target := s.bulk
	s.bulk = nil
	s.srv.mu.Unlock()
	if target == nil {
		return errProtocol
	}
	req := &Request{SQL: "BULK LOAD " + target.table.Name, Session: s, ctx: ctx}
	rows, err := s.readRows(m, req, target)
	if fatal(err) {
		return err
	}
	if err != nil {
		if lost := m.discard(); lost != nil {
			return lost
		}
	}
	return s.execute(req, func() (Result, error) {
		if err != nil {
			return Result{}, err
		}
		return Affected(int64(len(rows))), s.store(req, target, rows)
	})
}

// readRows reads the data of a bulk copy: the columns, the rows and DONE.
func (s *Session) readRows(m *message, req *Request, target *bulkTarget) ([][]any, error) {
	in := &input{r: m}
	wires, err := readBulkColumns(in, target)
	if err != nil {
		return nil, err
	}
	due := s.srv.faults.due(InBulk, req)
	var rows [][]any
	for {
		if due, err = s.sufferBulk(due, req, int64(len(rows)), m.bytes); err != nil {
			return nil, err
		}
		switch token := in.u8(); {
		case in.err != nil:
			return nil, in.err
		case token == tokenDone:
			return rows, m.discard()
		case token != tokenRow:
			return nil, Errorf("row %d of the bulk data begins with %#02x; a cause may be a NULL in a column that is "+
				"not null", len(rows)+1, token)
		}
		row := make([]any, len(wires))
		for i, w := range wires {
			if row[i], err = w.read(in); err != nil {
				return nil, aboutRow(err, len(rows)+1, target.columns[i])
			}
		}
		rows = append(rows, row)
	}
}

func aboutRow(err error, row int, column Column) error {
	if fatal(err) {
		return err
	}
	return asError(err).with("Row %d, column %s.", row, column.Name)
}

// sufferBulk triggers the faults whose number of rows and bytes is reached, and returns the others.
func (s *Session) sufferBulk(due []*Injected, req *Request, rows, bytes int64) (waiting []*Injected, err error) {
	for _, injected := range due {
		if rows < injected.fault.Rows || bytes < injected.fault.Bytes {
			waiting = append(waiting, injected)
			continue
		}
		if injected.strikes() {
			if err := s.suffer(injected, req); err != nil {
				return nil, err
			}
		}
	}
	return waiting, nil
}

// readBulkColumns reads the columns that the client sends, which must be the announced ones.
func readBulkColumns(in *input, target *bulkTarget) ([]wire, error) {
	if token := in.u8(); token != tokenColumns {
		return nil, errProtocol
	}
	count := int(in.u16())
	if in.err != nil || count != len(target.columns) {
		return nil, errProtocol
	}
	wires := make([]wire, count)
	for i := range wires {
		in.u32() // user type
		in.u16() // flags
		var err error
		if wires[i], err = readWire(in); err != nil {
			return nil, err
		}
		name := in.text8()
		if in.err != nil {
			return nil, in.err
		}
		if want := target.columns[i]; !strings.EqualFold(name, want.Name) {
			return nil, Err(4816).with("The client sent column %s in place of %s.", name, want.Name)
		}
	}
	return wires, nil
}

// store inserts the rows into their table, or passes them to its handler. Columns that were not sent
// are NULL.
func (s *Session) store(req *Request, target *bulkTarget, rows [][]any) error {
	for _, rule := range s.srv.rules {
		if err := rule.statement(req); err != nil {
			return err
		}
	}
	if take, ok := s.srv.bulks[tableKey(target.table.Name)]; ok {
		return take(req, target.columns, rows)
	}
	whole := make([][]any, len(rows))
	for i, row := range rows {
		whole[i] = make([]any, len(target.table.Columns))
		for n, value := range row {
			whole[i][find(target.table.Columns, target.columns[n].Name)] = value
		}
	}
	return req.Insert(target.table, whole...)
}
