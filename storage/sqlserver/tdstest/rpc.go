package tdstest

import (
	"io"
	"maps"
	"strings"
)

// A bit of a parameter's status, and the number of sp_executesql, the only procedure that is called
// by number.
const (
	paramOutput   = 0x01
	procByNumber  = 0xffff
	procExecuteID = 10
)

// readRPC reads a call of sp_executesql, whose statement becomes the text of the request, or of a
// procedure by its name.
func readRPC(in *input, req *Request) error {
	req.proc = true
	execute := false
	if size := in.u16(); size == procByNumber {
		if id := in.u16(); id != procExecuteID {
			return Err(2812).with("Procedure number %d.", id)
		}
		execute = true
	} else {
		req.SQL = decodeUTF16(in.bytes(2 * int(size)))
	}
	in.u16() // options
	for number := 1; in.err == nil; number++ {
		param, err := readParam(in)
		if err == io.EOF {
			break
		}
		if err != nil {
			return asError(err).with("Parameter %d.", number)
		}
		req.Params = append(req.Params, param)
	}
	if execute {
		return unwrap(req)
	}
	return nil
}

// readParam returns io.EOF at the end of the call.
func readParam(in *input) (Param, error) {
	size := in.u8()
	if in.err != nil {
		return Param{}, in.err
	}
	param := Param{Name: strings.TrimPrefix(decodeUTF16(in.bytes(2*int(size))), "@")}
	param.Output = in.u8()&paramOutput != 0
	wire, err := readWire(in)
	if err != nil {
		return param, err
	}
	param.Type = wire.name()
	param.Value, err = wire.read(in)
	return param, err
}

// unwrap extracts the statement from a call of sp_executesql. The second parameter declares the
// others and is not needed, because they are sent with their types.
func unwrap(req *Request) error {
	if len(req.Params) == 0 {
		return Err(8009).with("There is no statement.")
	}
	text, ok := req.Params[0].Value.(string)
	if !ok {
		return Err(8009).with("The statement is not text.")
	}
	req.SQL = text
	req.Params = req.Params[min(2, len(req.Params)):]
	return nil
}

// procedure performs a call. As on the server, temporary tables and settings made in the call end
// with it.
func (s *Session) procedure(req *Request) (Result, error) {
	tables, xactAbort, isolation := maps.Clone(s.tables), s.xactAbort, s.isolation
	result, err := s.statement(req)
	for key, table := range s.tables {
		if tables[key] != table {
			delete(s.tables, key)
		}
	}
	s.xactAbort, s.isolation = xactAbort, isolation
	return result, err
}
