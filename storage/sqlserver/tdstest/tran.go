package tdstest

import (
	"encoding/binary"
	"fmt"
)

// Isolation is the isolation level of a transaction, with the numbers of the protocol.
type Isolation byte

// The isolation levels.
const (
	ReadUncommitted Isolation = iota + 1
	ReadCommitted
	RepeatableRead
	Serializable
	Snapshot
)

func (i Isolation) String() string {
	names := [...]string{"", "read uncommitted", "read committed", "repeatable read", "serializable", "snapshot"}
	if i == 0 || int(i) >= len(names) {
		return fmt.Sprintf("isolation %d", byte(i))
	}
	return names[i]
}

// Patterns that match only the requests to the transaction manager.
const (
	Begin    = "^BEGIN TRANSACTION$"
	Commit   = "^COMMIT TRANSACTION$"
	Rollback = "^ROLLBACK TRANSACTION$"
)

const (
	beginText    = "BEGIN TRANSACTION"
	commitText   = "COMMIT TRANSACTION"
	rollbackText = "ROLLBACK TRANSACTION"
)

// The kinds of requests to the transaction manager.
const (
	tranBegin    = 5
	tranCommit   = 7
	tranRollback = 8
)

// transaction has the functions to call at its end, and its locks. A statement outside of a
// transaction has one of its own.
type transaction struct {
	id    uint64
	undo  []func() // done last to first
	done  []func() // done at commit, first to last
	held  []string // locks
	waits string   // the lock it waits for
}

func (t *transaction) rollback(srv *Server) {
	t.undoTo(0)
	t.end(srv)
}

func (t *transaction) undoTo(mark int) {
	for i := len(t.undo) - 1; i >= mark; i-- {
		t.undo[i]()
	}
	t.undo = t.undo[:mark]
}

func (t *transaction) commit(srv *Server) {
	for _, act := range t.done {
		act()
	}
	t.end(srv)
}

func (t *transaction) end(srv *Server) {
	for _, name := range t.held {
		delete(srv.locks, name)
	}
	for _, rule := range srv.rules {
		rule.ended(t)
	}
	srv.changed.Broadcast()
}

// parseTran reads a request to the transaction manager.
func (s *Session) parseTran(in *input, req *Request) func() (Result, error) {
	kind := in.u16()
	switch kind {
	case tranBegin:
		level := Isolation(in.u8())
		req.SQL = beginText
		return func() (Result, error) { return Result{}, req.Begin(level) }
	case tranCommit:
		req.SQL = commitText
		return func() (Result, error) { return Result{}, req.Commit() }
	case tranRollback:
		req.SQL = rollbackText
		return func() (Result, error) { return Result{}, req.Rollback() }
	}
	return nil
}

// Begin opens a transaction, for handlers of statements that do so. Level 0 keeps the session's level.
// Transactions cannot be nested.
func (r *Request) Begin(level Isolation) error {
	s := r.Session
	if s.tran != nil {
		return Errorf("a transaction is already open; this server does not nest them")
	}
	if level != 0 {
		s.isolation = level
	}
	s.srv.lastTran++
	s.tran = &transaction{id: s.srv.lastTran<<8 | 0x35}
	id := descriptorBytes(s.tran.id)
	r.tell(func(out output) { writeEnv(out, envBegin, id, nil) })
	return nil
}

// Commit commits the session's transaction, or returns the error of a rule that forbids it, which
// ends the transaction.
func (r *Request) Commit() error {
	s := r.Session
	if s.tran == nil {
		return Err(3902)
	}
	for _, rule := range s.srv.rules {
		if err := rule.commit(s.tran); err != nil {
			return err
		}
	}
	tran := s.tran
	tran.commit(s.srv)
	s.tran = nil
	id := descriptorBytes(tran.id)
	r.tell(func(out output) { writeEnv(out, envCommit, nil, id) })
	return nil
}

// Rollback rolls the session's transaction back.
func (r *Request) Rollback() error {
	if r.Session.tran == nil {
		return Err(3903)
	}
	r.Session.rollback(r)
	return nil
}

// rollback rolls an open transaction back. If req is not nil, its answer reports the end of the
// transaction.
func (s *Session) rollback(req *Request) {
	tran := s.tran
	if tran == nil {
		return
	}
	s.tran = nil
	tran.rollback(s.srv)
	if req != nil {
		id := descriptorBytes(tran.id)
		req.tell(func(out output) { writeEnv(out, envRollback, nil, id) })
	}
}

// doom rolls the transaction back if err is an error that ends it.
func (s *Session) doom(req *Request, err error) {
	e := asError(err) // an error that is not an *Error has class 16
	if e.EndsTransaction || e.Class >= fatalClass || req.abort || req.SQL == commitText {
		s.rollback(req)
	}
}

func descriptorBytes(id uint64) []byte { return binary.LittleEndian.AppendUint64(nil, id) }
