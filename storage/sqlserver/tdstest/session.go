package tdstest

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// Session is one connection as a handler sees it. Its methods are for handlers.
type Session struct {
	srv     *Server
	id      int
	conn    *net.TCPConn
	packets chan packet
	size    int // negotiated, of a packet

	ctx      context.Context // ends when the client disconnects
	hangUp   context.CancelFunc
	dead     chan struct{} // closed by kill
	killing  sync.Once
	reset    bool // the connection ends with RST
	current  atomic.Pointer[context.CancelFunc]
	asked    atomic.Int64 // number of attentions that have arrived
	answered int64        // number of attentions answered
	popped   int64        // number of attention packets taken from the queue

	// The following fields are guarded by the server's lock.
	login     Login
	isolation Isolation
	xactAbort bool
	values    map[string]any
	tables    map[string]*Table
	tran      *transaction
	bulk      *bulkTarget
	fmtOnly   bool
	ended     bool
}

func newSession(srv *Server, id int, conn *net.TCPConn) *Session {
	s := &Session{
		srv:  srv,
		id:   id,
		conn: conn,
		// Room for a few packets, so that an attention after a request is read. More would let a
		// stalled session read too much.
		packets: make(chan packet, 4),
		size:    4096,
		dead:    make(chan struct{}),
	}
	s.ctx, s.hangUp = context.WithCancel(context.Background())
	s.clear()
	return s
}

// ID returns the number of the session, from 1.
func (s *Session) ID() int { return s.id }

// Login returns the login of the client.
func (s *Session) Login() Login { return s.login }

// InTransaction reports whether the client has a transaction open.
func (s *Session) InTransaction() bool { return s.tran != nil }

// Descriptor returns the number of the open transaction, 0 if there is none.
func (s *Session) Descriptor() uint64 {
	if s.tran == nil {
		return 0
	}
	return s.tran.id
}

// Isolation returns the isolation level in effect.
func (s *Session) Isolation() Isolation { return s.isolation }

// Value returns the value that Set has stored under key, or nil.
func (s *Session) Value(key string) any { return s.values[key] }

// Set stores a value under a key until the session ends or is reset.
func (s *Session) Set(key string, value any) { s.values[key] = value }

func (s *Session) info() SessionInfo {
	info := SessionInfo{ID: s.id, Login: s.login, InTransaction: s.tran != nil, Isolation: s.isolation}
	for _, table := range s.tables {
		info.Tables = append(info.Tables, table.Name)
	}
	slices.Sort(info.Tables)
	return info
}

// clear sets the session to its state after the login.
func (s *Session) clear() {
	s.isolation = ReadCommitted
	s.xactAbort = false
	s.values = make(map[string]any)
	s.tables = make(map[string]*Table)
	s.bulk = nil
	s.fmtOnly = false
}

// kill resets the connection at once, whatever the session is doing.
func (s *Session) kill() {
	s.killing.Do(func() {
		close(s.dead)
		s.conn.SetLinger(0)
		s.conn.Close()
	})
}

// receive reads packets into the queue. An attention cancels the current request at once.
func (s *Session) receive() {
	defer s.hangUp()
	defer close(s.packets)
	for {
		next, err := readPacket(s.conn)
		if err != nil {
			return
		}
		if next.kind == packetAttention {
			s.asked.Add(1)
			if cancel := s.current.Load(); cancel != nil {
				(*cancel)()
			}
		}
		select {
		case s.packets <- next:
		case <-s.dead:
			return
		}
	}
}

// serve answers one message after the other until the connection ends.
func (s *Session) serve() {
	defer s.end()
	if s.greet() != nil {
		return
	}
	for first := range s.packets {
		if s.answer(first) != nil {
			return
		}
	}
}

func (s *Session) answer(first packet) error {
	if first.kind == packetAttention {
		return s.acknowledge()
	}
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	s.current.Store(&cancel)
	defer s.current.Store(nil)
	if s.cancelled() {
		cancel()
	}
	return s.dispatch(ctx, newMessage(s.packets, first))
}

// cancelled reports whether an attention is not answered yet.
func (s *Session) cancelled() bool { return s.asked.Load() > s.answered }

// acknowledge answers an attention that arrived after the answer to its request.
func (s *Session) acknowledge() error {
	s.popped++
	if s.popped <= s.answered {
		return nil
	}
	s.answered++
	r := newReply(s.conn, s.size)
	writeDone(output{r}, tokenDone, doneAttention, 0, 0)
	return r.finish()
}

// end rolls back the open transaction and closes the connection. Without a reset it closes its own
// side and reads until the client closes the other, because closing a connection with unread bytes
// would reset it.
func (s *Session) end() {
	s.srv.mu.Lock()
	s.rollback(nil)
	s.clear()
	s.ended = true
	s.srv.changed.Broadcast()
	s.srv.mu.Unlock()
	if s.reset {
		s.kill()
	}
	s.conn.CloseWrite()
	for range s.packets {
	}
	s.kill()
	s.srv.mu.Lock()
	delete(s.srv.sessions, s.id)
	s.srv.mu.Unlock()
}

// drop returns the error that ends the session.
func (s *Session) drop(reset bool) error {
	s.reset = reset
	return errGone
}

// fatal reports whether err ends the connection instead of being sent.
func fatal(err error) bool {
	return errors.Is(err, errGone) || errors.Is(err, errProtocol)
}
