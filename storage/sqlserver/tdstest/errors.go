package tdstest

import (
	"errors"
	"fmt"
)

// Error is an error of the server, which it sends in place of a result or after one.
type Error struct {
	Number    int32
	State     byte
	Class     byte // severity; from 20 on the connection is closed
	Message   string
	Procedure string
	Line      int32
	// EndsTransaction is set if the server has rolled the transaction back.
	EndsTransaction bool
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s (%d, state %d, class %d)", e.Message, e.Number, e.State, e.Class)
}

// fatalClass is the lowest severity that ends the connection.
const fatalClass = 20

// errUnknown is the number of the test double's own errors.
const errUnknown = 50000

// known has errors of SQL Server, with texts of this package.
var known = map[int32]Error{
	207:  {Class: 16, Message: "Invalid column name."},
	208:  {Class: 16, Message: "Invalid object name."},
	229:  {Class: 14, State: 5, Message: "Permission denied."},
	515:  {Class: 16, State: 2, Message: "NULL in a column that is not null."},
	547:  {Class: 16, Message: "A constraint does not allow the statement."},
	1105: {Class: 17, State: 2, Message: "There is no space left in the filegroup."},
	1205: {Class: 13, State: 51, Message: "The transaction is the victim of a deadlock; run it again.",
		EndsTransaction: true},
	1222:  {Class: 16, State: 51, Message: "Lock request time out period exceeded."},
	2601:  {Class: 14, Message: "The key already exists in the unique index."},
	2627:  {Class: 14, Message: "The key already exists in the table."},
	2714:  {Class: 16, State: 6, Message: "There is already an object of that name."},
	2812:  {Class: 16, State: 62, Message: "There is no such procedure."},
	3701:  {Class: 11, State: 5, Message: "Cannot drop the table: it does not exist."},
	3902:  {Class: 16, Message: "COMMIT without a transaction."},
	3903:  {Class: 16, Message: "ROLLBACK without a transaction."},
	3960:  {Class: 16, State: 2, Message: "The snapshot was overtaken by another update.", EndsTransaction: true},
	3989:  {Class: 16, Message: "The request names a transaction that is not the session's."},
	4022:  {Class: 16, Message: "The client sent another request in place of bulk rows."},
	4060:  {Class: 11, Message: "The database of the login cannot be opened."},
	4701:  {Class: 16, Message: "Cannot find the table to truncate."},
	4815:  {Class: 16, Message: "A bulk value is longer than its column."},
	4816:  {Class: 16, Message: "A bulk column does not match the table."},
	4895:  {Class: 16, Message: "Unicode data of an odd number of bytes."},
	8009:  {Class: 16, Message: "The call cannot be read."},
	9002:  {Class: 17, State: 4, Message: "The transaction log is full."},
	10928: {Class: 20, Message: "The limit of requests has been reached."},
	18456: {Class: 14, Message: "Login failed."},
	40143: {Class: 20, Message: "The service failed."},
	40197: {Class: 20, Message: "The service failed in processing the request; try again."},
	40501: {Class: 20, Message: "The service is busy; try again after 10 seconds."},
	40613: {Class: 20, Message: "The database is not available at present; try again later."},
	49918: {Class: 20, Message: "There are not enough resources for the request."},
}

// Err returns the error of SQL Server with that number and its severity. Unknown numbers get class 16.
func Err(number int32) *Error {
	e, ok := known[number]
	if !ok {
		e = Error{Class: 16, Message: fmt.Sprintf("Error %d.", number)}
	}
	e.Number = number
	e.State = max(e.State, 1)
	e.Line = 1
	return &e
}

// Errorf returns an error with number 50000, for handlers that do not support a request.
func Errorf(format string, args ...any) *Error {
	return &Error{Number: errUnknown, State: 1, Class: 16, Line: 1, Message: fmt.Sprintf(format, args...)}
}

// with appends details to the message.
func (e *Error) with(format string, args ...any) *Error {
	e.Message += " " + fmt.Sprintf(format, args...)
	return e
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Errorf("%v", err)
}

func (e *Error) write(out output) {
	message, procedure := encodeUTF16(e.Message), encodeUTF16(e.Procedure)
	message = message[:min(len(message), 2*2000)]
	procedure = procedure[:min(len(procedure), 2*128)]
	server := encodeUTF16("tdstest")
	out.u8(tokenError)
	out.u16(uint16(4 + 1 + 1 + 2 + len(message) + 1 + len(server) + 1 + len(procedure) + 4))
	out.u32(uint32(e.Number))
	out.u8(e.State)
	out.u8(e.Class)
	out.u16(uint16(len(message) / 2))
	out.bytes(message)
	out.u8(byte(len(server) / 2))
	out.bytes(server)
	out.u8(byte(len(procedure) / 2))
	out.bytes(procedure)
	out.u32(uint32(e.Line))
}
