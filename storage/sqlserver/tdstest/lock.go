package tdstest

import (
	"context"
	"time"
)

// Forever is a timeout without limit.
const Forever = time.Duration(-1)

// Lock takes a lock by its name, which the transaction, or the statement if there is none, holds to
// its end. It waits while another transaction holds it; other requests run meanwhile. It returns
// error 1205 for a deadlock, 1222 after the timeout, and an error if the client cancels or
// disconnects. The handler must return the error.
func (r *Request) Lock(name string, timeout time.Duration) error {
	srv, tran := r.Session.srv, r.transaction()
	if srv.locks[name] == tran {
		return nil
	}
	if deadlock(srv, name, tran) {
		return Err(1205)
	}
	tran.waits = name
	err := r.Wait(func() bool { return srv.locks[name] == nil }, timeout)
	tran.waits = ""
	if err != nil {
		return err
	}
	srv.locks[name] = tran
	tran.held = append(tran.held, name)
	return nil
}

// deadlock reports whether the holder of the lock waits, directly or through others, for a lock of
// the transaction that requests it.
func deadlock(srv *Server, name string, requester *transaction) bool {
	for holder := srv.locks[name]; holder != nil; holder = srv.locks[holder.waits] {
		if holder == requester {
			return true
		}
	}
	return false
}

// Wait waits until ready returns true, and calls it whenever a request or a transaction has ended.
// Other requests run meanwhile. Its errors are those of Lock, except for 1205.
func (r *Request) Wait(ready func() bool, timeout time.Duration) error {
	ctx := r.ctx
	if timeout >= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	if r.Session.srv.wait(ctx, ready) == nil {
		return nil
	}
	if r.ctx.Err() != nil {
		return errCancelled
	}
	return Err(1222)
}
