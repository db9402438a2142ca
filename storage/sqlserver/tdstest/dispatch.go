package tdstest

import (
	"context"
	"io"
)

// dispatch answers one message of any kind that may follow the login.
func (s *Session) dispatch(ctx context.Context, m *message) error {
	if m.kind == packetBulk {
		return s.bulkLoad(ctx, m)
	}
	req := &Request{Session: s, ctx: ctx}
	in := &input{r: m}
	descriptor := readHeaders(in)
	effect := s.parse(m.kind, in, req)
	if err := m.discard(); err != nil {
		return err
	}
	if effect == nil {
		return errProtocol
	}
	s.srv.mu.Lock()
	refusal := s.refuse(descriptor)
	if m.status&(statusReset|statusResetKeepTran) != 0 {
		s.resetSession(req, m.status&statusResetKeepTran != 0)
	}
	s.srv.mu.Unlock()
	if refusal != nil {
		effect = func() (Result, error) { return Result{}, refusal }
	}
	return s.execute(req, effect)
}

// readHeaders reads the headers of a request and returns the descriptor of its transaction.
func readHeaders(in *input) (descriptor uint64) {
	left := int(in.u32()) - 4
	for left > 0 && in.err == nil {
		size := int(in.u32())
		kind := in.u16()
		if size < 6 || size > left {
			in.err = errProtocol
			return 0
		}
		left -= size
		if kind == headerTransaction && size >= 14 {
			descriptor = in.u64()
			size -= 8
		}
		in.bytes(size - 6)
	}
	return descriptor
}

// headerTransaction is the kind of header that carries the descriptor.
const headerTransaction = 2

// parse fills in the request and returns its effect, or nil if the message is invalid.
func (s *Session) parse(kind byte, in *input, req *Request) (effect func() (Result, error)) {
	switch kind {
	case packetBatch:
		text, err := io.ReadAll(in.r)
		if err != nil || in.err != nil || len(text)%2 != 0 {
			return nil
		}
		req.SQL = decodeUTF16(text)
		return func() (Result, error) { return s.statement(req) }
	case packetRPC:
		err := readRPC(in, req)
		return func() (Result, error) {
			if err != nil {
				return Result{}, err
			}
			return s.procedure(req)
		}
	case packetTran:
		return s.parseTran(in, req)
	}
	return nil
}

// resetSession returns a pooled connection to its initial state.
func (s *Session) resetSession(req *Request, keepTran bool) {
	if !keepTran {
		s.rollback(req)
	}
	s.clear()
	req.tell(func(out output) { writeEnv(out, envResetDone, []byte{0}, []byte{0}) })
}

// refuse returns the error of a request that may not begin.
func (s *Session) refuse(descriptor uint64) error {
	if s.bulk != nil {
		s.bulk = nil
		return Err(4022)
	}
	if descriptor != s.Descriptor() {
		return Err(3989)
	}
	return nil
}

// execute performs a request, with the faults that are due, and answers it.
func (s *Session) execute(req *Request, effect func() (Result, error)) error {
	result, err := s.perform(req, effect)
	if fatal(err) {
		return err
	}
	return s.respond(req, result, err)
}

func (s *Session) perform(req *Request, effect func() (Result, error)) (Result, error) {
	err := s.strike(BeforeEffect, req)
	if fatal(err) {
		return Result{}, err
	}
	result, err := s.take(req, effect, err)
	if err != nil {
		return result, err
	}
	err = s.strike(AfterEffect, req)
	s.spoil(req, err)
	return result, err
}

// spoil ends the transaction if an error after the effect is one that does so.
func (s *Session) spoil(req *Request, err error) {
	if err == nil || fatal(err) {
		return
	}
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	s.doom(req, err)
}

// take runs the effect as one atomic statement, unless err says that it failed before it began.
func (s *Session) take(req *Request, effect func() (Result, error), err error) (result Result, _ error) {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	entry := Entry{Session: s.id, SQL: req.SQL, InTransaction: s.tran != nil, Isolation: s.isolation}
	req.begin()
	if err == nil {
		result, err = effect()
	}
	// A result may have rows even if err is set.
	if misfit := result.fit(); misfit != nil {
		result, err = Result{}, misfit
	}
	err = req.finish(err)
	entry.Err = err
	s.srv.log = append(s.srv.log, entry)
	s.srv.changed.Broadcast()
	return result, err
}

// Entry is one request in the server's log.
type Entry struct {
	Session       int
	SQL           string // that of a transaction manager request matches [Begin], [Commit] or [Rollback]
	InTransaction bool   // when it began
	Isolation     Isolation
	Err           error // of the answer
}

// Log returns all requests so far, in their order.
func (s *Server) Log() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Entry(nil), s.log...)
}
