package tdstest

import (
	"context"
	"time"
)

// Forever is the patience of one who waits as long as it takes.
const Forever = time.Duration(-1)

// Lock takes a lock by its name, which the transaction, or the statement if
// there is none, holds to its end. It waits while another holds it; others run
// meanwhile. It returns error 1205 where the wait would never end (a deadlock),
// 1222 when patience runs out, and an error too when the client cancels or
// hangs up. The handler returns with the error.
func (r *Request) Lock(name string, patience time.Duration) error {
	srv, tran := r.Session.srv, r.transaction()
	if srv.locks[name] == tran {
		return nil
	}
	if deadlock(srv, name, tran) {
		return Err(1205)
	}
	tran.waits = name
	err := r.Wait(func() bool { return srv.locks[name] == nil }, patience)
	tran.waits = ""
	if err != nil {
		return err
	}
	srv.locks[name] = tran
	tran.held = append(tran.held, name)
	return nil
}

// deadlock reports whether the lock's holder waits, by however many others,
// for the transaction that asks.
func deadlock(srv *Server, name string, asker *transaction) bool {
	for holder := srv.locks[name]; holder != nil; holder = srv.locks[holder.waits] {
		if holder == asker {
			return true
		}
	}
	return false
}

// Wait waits until something is so, and looks whenever a request or a
// transaction has ended. Others run meanwhile. Its errors are those of Lock.
func (r *Request) Wait(ready func() bool, patience time.Duration) error {
	ctx := r.ctx
	if patience >= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
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
