package tdstest

// rules are what a part of the server beyond tables has to say. They are called
// with the server's lock.
type rules interface {
	// statement refuses a statement, or a bulk load, before it begins.
	statement(req *Request) error
	// commit refuses the COMMIT of a transaction, which is then rolled back.
	commit(tran *transaction) error
	// ended says that a transaction is over, either way.
	ended(tran *transaction)
}
