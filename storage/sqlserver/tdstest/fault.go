package tdstest

import (
	"context"
	"sync"
	"time"
)

// Point is a point at which a fault occurs.
type Point int

// The points.
const (
	// AtLogin is before the answer to a login. The text to match is LOGIN and the database.
	AtLogin Point = iota + 1
	// BeforeEffect is after a request has arrived and before it has any effect.
	BeforeEffect
	// AfterEffect is after a request has taken effect and before its answer is sent.
	AfterEffect
	// InBulk is within the data of a bulk copy, after Rows rows and Bytes bytes. The text to match
	// is BULK LOAD and the table.
	InBulk
	// InRows is within a result set, after Rows rows, which may be all of them.
	InRows
)

// Fault is a failure to inject.
type Fault struct {
	At    Point
	Match string // a pattern as in [Server.Handle]; empty matches every request, also those of the driver
	Skip  int    // matching requests to let pass
	Times int    // how often it occurs: 0 means once, a negative number always
	Rows  int64  // for InBulk and InRows
	Bytes int64  // for InBulk
	Do    Action
}

// Action is the effect of a fault.
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

// Fail answers with an error of the server. At COMMIT the error reports that the transaction ended:
// before the effect it is rolled back, after it the commit stays. Within a bulk copy the rest of the
// data is read first.
func Fail(err *Error) Action { return Action{kind: actFail, err: err} }

// Drop ends the session and closes the connection (FIN).
func Drop() Action { return Action{kind: actDrop} }

// Reset ends the session and resets the connection (RST).
func Reset() Action { return Action{kind: actReset} }

// Stall reads nothing and writes nothing until the fault is released or the session killed. A request
// that was stalled before its effect takes effect after the release, unless the client has cancelled
// it meanwhile; a COMMIT takes effect in any case.
func Stall() Action { return Action{kind: actStall} }

// Slow waits and then continues. Cancelling the request ends the wait.
func Slow(delay time.Duration) Action { return Action{kind: actSlow, delay: delay} }

// Injected is a fault of a server.
type Injected struct {
	fault    Fault
	matches  func(string) bool
	mu       sync.Mutex
	seen     int
	fired    int
	struck   chan struct{} // closed when the fault first occurs
	released chan struct{}
	release  sync.Once
}

// Inject adds a fault. Several faults at one point occur in the order in which they were added.
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

// Fired returns how often the fault has occurred.
func (i *Injected) Fired() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fired
}

// Struck is closed when the fault has occurred for the first time.
func (i *Injected) Struck() <-chan struct{} { return i.struck }

// Release ends a stall, and those that would follow.
func (i *Injected) Release() { i.release.Do(func() { close(i.released) }) }

// strikes counts a matching request, and reports whether the fault occurs at it.
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

// plan has the faults of a server.
type plan struct {
	mu  sync.Mutex
	all []*Injected
}

// due returns the faults that match a request at a point.
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

// strike triggers the faults that are due and returns the error of the request. It is called without
// the server's lock.
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
