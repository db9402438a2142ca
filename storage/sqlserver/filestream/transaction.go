package filestream

import "context"

// Transaction is one transaction on one connection, which nothing else uses. Its methods get a
// context that does not end: the outcome of COMMIT must be known, and a cancelled BEGIN leaves the
// connection in doubt.
type Transaction interface {
	// Begin begins the transaction.
	Begin(ctx context.Context) error
	// Commit commits. If it returns nil, rows and payloads are stored. After an error they may be,
	// too, if only the answer was lost: a retry checks first.
	Commit(ctx context.Context) error
	// Rollback ends the transaction, if there is one, after any error or panic, including those of
	// Begin and Commit. No file is open then. If it fails, it drops the connection, and the server
	// rolls back.
	Rollback(ctx context.Context)
}

// within begins a transaction, executes the steps, and commits. It rolls back after an error or a
// panic, or if ctx ends before the commit. A step leaves no file open.
func within(ctx context.Context, tx Transaction, steps ...func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	uncut := context.WithoutCancel(ctx)
	committed := false
	defer func() {
		if !committed {
			tx.Rollback(uncut)
		}
	}()
	if err := tx.Begin(uncut); err != nil {
		return err
	}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := tx.Commit(uncut)
	committed = err == nil
	return err
}
