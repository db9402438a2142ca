package tdstest

// rules are additional rules of the server, as those of FILESTREAM. They are called with the server's
// lock.
type rules interface {
	// statement refuses a statement, or a bulk load, before it begins.
	statement(req *Request) error
	// commit refuses the COMMIT of a transaction, which is then rolled back.
	commit(tran *transaction) error
	// ended is called after the commit or rollback of a transaction.
	ended(tran *transaction)
}
