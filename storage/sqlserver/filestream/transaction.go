package filestream

import "context"

// Transaction is one transaction on one connection, which nothing else uses meanwhile. Its
// methods are called with a context that does not end: an answer to COMMIT is worth
// more than the time, and a cancelled BEGIN leaves a connection in doubt.
type Transaction interface {
	// Begin begins the transaction.
	Begin(ctx context.Context) error
	// Commit commits. Nil means that rows and payloads are there, both. After an error
	// they may be there as well, when only the answer was lost: work that is repeated
	// looks first.
	Commit(ctx context.Context) error
	// Rollback ends what is left of the transaction, after anything failed or panicked:
	// Begin and Commit too, so that perhaps there is none. No file is open any more. It
	// has nothing to report: where it fails, it closes the connection, and the server
	// does the rest.
	Rollback(ctx context.Context)
}

// within begins a transaction, takes the steps in turn, and commits. If anything fails,
// a step panics, or ctx ends before the commit, it rolls back. A step leaves no file open.
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
