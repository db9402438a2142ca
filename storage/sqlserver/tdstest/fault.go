package tdstest

import (
	"context"
	"sync"
	"time"
)

// Point is where a fault strikes.
type Point int

// The points.
const (
	// AtLogin is when a client asks to be let in. The text to match is LOGIN and
	// the database.
	AtLogin Point = iota + 1
	// BeforeEffect is when a request has arrived whole and nothing has come of it.
	BeforeEffect
	// AfterEffect is when a request has taken effect and the answer is not sent.
	AfterEffect
	// InBulk is in the midst of a bulk copy's data, once so many rows and so many
	// bytes have been read. The text to match is BULK LOAD and the table.
	InBulk
	// InRows is in the midst of an answer, after so many rows of a result set.
	InRows
)

// Fault is a failure that is planned.
type Fault struct {
	At    Point
	Match string // a pattern as in [Server.Handle]; empty matches every request, the driver's own too
	Skip  int    // how many that match pass unharmed
	Times int    // how often it strikes; 0 is once, less is each time
	Rows  int64  // for InBulk and InRows
	Bytes int64  // for InBulk
	Do    Action
}

// Action is what a fault does.
type Action struct {
	kind  actionKind
	err   error
	delay time.Duration
}

type actionKind int

const (
	actFail actionKind = iota
	actDrop
	actReset
	actStall
	actSlow
)

// Fail answers with an error of the server's. At COMMIT it ends the
// transaction: before its effect by rolling it back, after it only in word. In
// mid-bulk the rest of the data is read first.
func Fail(err *Error) Action { return Action{kind: actFail, err: err} }

// Drop ends the session and the connection with it in good order (FIN).
func Drop() Action { return Action{kind: actDrop} }

// Reset ends the session and resets the connection (RST).
func Reset() Action { return Action{kind: actReset} }

// Stall reads nothing and writes nothing until the fault is released, or the
// session killed. A request that was stalled before its effect takes effect
// then, a COMMIT even if nobody waits for it any longer; a statement that was
// cancelled meanwhile does not.
func Stall() Action { return Action{kind: actStall} }

// Slow waits and then goes on. A cancelled request waits no longer.
func Slow(delay time.Duration) Action { return Action{kind: actSlow, delay: delay} }

// Injected is a fault in place.
type Injected struct {
	fault    Fault
	matches  func(string) bool
	mu       sync.Mutex
	seen     int
	fired    int
	struck   chan struct{} // closed at the first strike
	released chan struct{}
	release  sync.Once
}

// Inject puts a fault in place. Several may wait at one point; they strike in
// the order in which they were put there.
func (s *Server) Inject(fault Fault) *Injected {
	injected := &Injected{
		fault:    fault,
		matches:  matcher(fault.Match),
		struck:   make(chan struct{}),
		released: make(chan struct{}),
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.all = append(s.faults.all, injected)
	return injected
}

// Fired returns how often the fault has struck.
func (i *Injected) Fired() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fired
}

// Struck is closed when the fault has struck for the first time.
func (i *Injected) Struck() <-chan struct{} { return i.struck }

// Release ends a stall, and all that would follow.
func (i *Injected) Release() { i.release.Do(func() { close(i.released) }) }

// strikes counts an occasion, and reports whether the fault takes it.
func (i *Injected) strikes() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen++
	if i.seen <= i.fault.Skip || i.fault.Times >= 0 && i.fired >= max(1, i.fault.Times) {
		return false
	}
	i.fired++
	if i.fired == 1 {
		close(i.struck)
	}
	return true
}

// plan is all faults of a server.
type plan struct {
	mu  sync.Mutex
	all []*Injected
}

// due returns the faults that wait for such a request at that point.
func (p *plan) due(at Point, req *Request) []*Injected {
	p.mu.Lock()
	defer p.mu.Unlock()
	var due []*Injected
	for _, injected := range p.all {
		if injected.fault.At == at && injected.matches(req.SQL) {
			due = append(due, injected)
		}
	}
	return due
}

// strike lets the faults strike that are due, and returns what the request
// fails with. It is called without the server's lock.
func (s *Session) strike(at Point, req *Request) error {
	for _, injected := range s.srv.faults.due(at, req) {
		if !injected.strikes() {
			continue
		}
		if err := s.suffer(injected, req); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) suffer(injected *Injected, req *Request) error {
	switch action := injected.fault.Do; action.kind {
	case actFail:
		return action.err
	case actDrop, actReset:
		return s.drop(action.kind == actReset)
	case actStall:
		select {
		case <-injected.released:
		case <-s.dead:
			return errGone
		}
	case actSlow:
		ctx, cancel := context.WithTimeout(req.ctx, action.delay)
		defer cancel()
		select {
		case <-ctx.Done():
		case <-s.dead:
			return errGone
		}
	}
	if req.ctx.Err() != nil && req.SQL != commitText {
		return errCancelled
	}
	return nil
}
