package tdstest

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Server is a running test double. Its methods may be called from any goroutine, but not from a
// handler, which holds the lock that they need; handlers use their [Request].
type Server struct {
	t        testing.TB
	listener net.Listener
	running  sync.WaitGroup
	faults   plan

	mu       sync.Mutex
	changed  *sync.Cond // on mu: a transaction or a request has ended
	closed   bool
	sessions map[int]*Session
	lastID   int
	lastTran uint64
	handlers []handler
	bulks    map[string]BulkFunc
	tables   map[string]*Table
	locks    map[string]*transaction
	logins   []Login
	log      []Entry
	rules    []rules
}

// Start runs a server until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		t:        t,
		listener: listener,
		sessions: make(map[int]*Session),
		bulks:    make(map[string]BulkFunc),
		tables:   make(map[string]*Table),
		locks:    make(map[string]*transaction),
	}
	s.changed = sync.NewCond(&s.mu)
	s.running.Go(s.accept)
	t.Cleanup(s.Close)
	return s
}

// Close ends all sessions, also stalled ones, and waits for their ends.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.listener.Close()
	for _, session := range s.sessions {
		session.kill()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Addr returns the host and port on which the server listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// DSN returns an address of the server for the driver, with a SQL login, database Hartonomous and no
// encryption. settings has further names and values in turn.
func (s *Server) DSN(settings ...string) string {
	query := url.Values{"database": {"Hartonomous"}, "encrypt": {"disable"}}
	for i := 0; i+1 < len(settings); i += 2 {
		query.Set(settings[i], settings[i+1])
	}
	address := url.URL{
		Scheme:   "sqlserver",
		User:     url.UserPassword("sa", "Dev-Only-1"),
		Host:     s.Addr(),
		RawQuery: query.Encode(),
	}
	return address.String()
}

// Do runs a function while no handler runs, so that a test can use the data of handlers.
func (s *Server) Do(work func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	work()
}

// Logins returns all logins so far, also refused ones.
func (s *Server) Logins() []Login {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Login(nil), s.logins...)
}

// SessionInfo describes a session.
type SessionInfo struct {
	ID            int
	Login         Login
	InTransaction bool
	Isolation     Isolation
	Tables        []string // temporary tables
}

// Sessions returns the sessions that are alive, oldest first.
func (s *Server) Sessions() []SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var alive []SessionInfo
	for id := 1; id <= s.lastID; id++ {
		if session, ok := s.sessions[id]; ok && !session.ended {
			alive = append(alive, session.info())
		}
	}
	return alive
}

// Kill ends a session as KILL does: its transaction is rolled back and its connection reset. It also
// ends a stall.
func (s *Server) Kill(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session, ok := s.sessions[id]; ok {
		session.kill()
	}
}

// WaitIdle waits until no session is in a transaction, so that a test can check the outcome of
// abandoned connections. It returns false after the timeout.
func (s *Server) WaitIdle(timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wait(ctx, func() bool {
		for _, session := range s.sessions {
			if session.tran != nil {
				return false
			}
		}
		return true
	}) == nil
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		s.welcome(conn.(*net.TCPConn))
	}
}

func (s *Server) welcome(conn *net.TCPConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return
	}
	// With a small buffer a client soon blocks if the server stops reading.
	conn.SetReadBuffer(256 << 10)
	s.lastID++
	session := newSession(s, s.lastID, conn)
	s.sessions[session.id] = session
	s.running.Go(session.receive)
	s.running.Go(session.serve)
}

// wait waits until ready returns true, which it calls whenever a request or transaction has ended, or
// returns the error of ctx. The caller holds mu; other requests run meanwhile.
func (s *Server) wait(ctx context.Context, ready func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	defer stop()
	for !ready() {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.changed.Wait()
	}
	return nil
}
