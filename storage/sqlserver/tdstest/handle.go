package tdstest

import (
	"regexp"
	"strings"
)

// HandlerFunc answers a statement. If it returns an error, the effects of the statement are undone.
// An [*Error] is sent unchanged; any other gets number 50000.
type HandlerFunc func(*Request) (Result, error)

// BulkFunc handles the rows of a bulk copy, with the columns that were sent. It may keep the rows.
type BulkFunc func(req *Request, columns []Column, rows [][]any) error

type handler struct {
	matches func(sql string) bool
	serve   HandlerFunc
}

// Handle registers a handler for the statements that match a pattern. A pattern that begins with /* is
// the comment with which the statement begins; any other is a regular expression with the flags i and
// s. The handlers that were added last are tried first.
func (s *Server) Handle(pattern string, serve HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers = append(s.handlers, handler{matcher(pattern), serve})
}

// HandleBulk passes the rows of bulk copies into a table to a function instead of the table, which
// must exist nevertheless.
func (s *Server) HandleBulk(table string, take BulkFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bulks[tableKey(table)] = take
}

func matcher(pattern string) func(string) bool {
	if strings.HasPrefix(pattern, "/*") {
		return func(sql string) bool { return strings.HasPrefix(strings.TrimSpace(sql), pattern) }
	}
	return regexp.MustCompile("(?is)" + pattern).MatchString
}

// statement performs a statement: the changes of temporary tables and settings in it, and its
// handler.
func (s *Session) statement(req *Request) (Result, error) {
	for _, rule := range s.srv.rules {
		if err := rule.statement(req); err != nil {
			return Result{}, err
		}
	}
	plain := stripComments(req.SQL)
	if result, err, ok := s.driverStatement(req, plain); ok {
		return result, err
	}
	if s.fmtOnly {
		return Result{}, Errorf("FMTONLY is on: no statement takes effect")
	}
	before, after := temporary(plain)
	s.settings(plain)
	req.abort = s.xactAbort
	if err := s.change(req, before); err != nil {
		return Result{}, err
	}
	result, err := s.handle(req, plain, len(before)+len(after) > 0)
	if err != nil {
		return result, err
	}
	return result, s.change(req, after)
}

// handle calls the handler of a statement. A statement with only temporary tables and settings needs
// none.
func (s *Session) handle(req *Request, plain string, done bool) (Result, error) {
	for i := len(s.srv.handlers) - 1; i >= 0; i-- {
		if h := s.srv.handlers[i]; h.matches(req.SQL) {
			result, err := h.serve(req)
			if err == nil && req.ctx.Err() != nil {
				err = errCancelled
			}
			if err == nil && rowCount.MatchString(plain) {
				result.Sets = append(result.Sets, Rows("[] bigint", []any{result.Affected}).Sets...)
			}
			return result, err
		}
	}
	switch {
	case done || onlySettings.MatchString(plain):
		return Result{}, nil
	case strings.EqualFold(strings.TrimSpace(plain), "select 1;"):
		return Rows("[] int not null", []any{1}), nil
	case beginStatement.MatchString(plain):
		return Result{}, req.Begin(0)
	case commitStatement.MatchString(plain):
		return Result{}, req.Commit()
	case rollbackStatement.MatchString(plain):
		return Result{}, req.Rollback()
	}
	s.srv.t.Logf("tdstest: no handler for %.300q", req.SQL)
	return Result{}, Errorf("no handler for %.300q", req.SQL)
}

const setting = `set\s+(?:transaction\s+isolation\s+level\s+` +
	`(read\s+uncommitted|read\s+committed|repeatable\s+read|serializable|snapshot)` +
	`|lock_timeout\s+-?\d+|(\w+)\s+(on|off))\b`

var (
	oneSetting        = regexp.MustCompile(`(?is)\b` + setting)
	rowCount          = regexp.MustCompile(`(?is);\s*select\s+(convert\s*\(\s*bigint\s*,\s*)?@@rowcount\s*\)?\s*;?\s*$`)
	onlySettings      = regexp.MustCompile(`(?is)^\s*(?:` + setting + `\s*;?\s*)+$`)
	beginStatement    = regexp.MustCompile(`(?is)^\s*begin\s+tran(saction)?\s*;?\s*$`)
	commitStatement   = regexp.MustCompile(`(?is)^\s*commit(\s+(tran|transaction|work))?\s*;?\s*$`)
	rollbackStatement = regexp.MustCompile(`(?is)^\s*rollback(\s+(tran|transaction|work))?\s*;?\s*$`)
)

var levels = map[string]Isolation{
	"readuncommitted": ReadUncommitted, "readcommitted": ReadCommitted, "repeatableread": RepeatableRead,
	"serializable": Serializable, "snapshot": Snapshot,
}

// settings applies the supported SET statements to the session.
func (s *Session) settings(plain string) {
	for _, found := range oneSetting.FindAllStringSubmatch(plain, -1) {
		if level, ok := levels[strings.ToLower(strings.Join(strings.Fields(found[1]), ""))]; ok {
			s.isolation = level
		}
		if strings.EqualFold(found[2], "xact_abort") {
			s.xactAbort = strings.EqualFold(found[3], "on")
		}
	}
}
