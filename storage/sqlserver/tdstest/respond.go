package tdstest

import "errors"

// respond sends the answer to a request: changes of the session, result sets, and the error or the end.
func (s *Session) respond(req *Request, result Result, err error) error {
	a := &answer{Session: s, req: req, reply: newReply(s.conn, s.size)}
	out := output{a.reply}
	a.tell()
	if !errors.Is(err, errCancelled) {
		if trouble := a.sets(result.Sets); trouble != nil {
			err = trouble
			s.spoil(req, err)
			a.tell()
		}
	}
	if fatal(err) {
		a.reply.flush()
		return err
	}
	// The end of this answer also answers an attention that has arrived; a later one gets a message
	// of its own.
	if s.cancelled() {
		s.answered++
		writeDone(out, tokenDone, doneAttention, 0, 0)
		return a.reply.finish()
	}
	if err != nil {
		return a.fail(asError(err))
	}
	a.end(result)
	return a.reply.finish()
}

// answer is the answer to a request while it is written.
type answer struct {
	*Session
	req   *Request
	reply *reply
}

// tell writes the changes of the session.
func (a *answer) tell() {
	for _, tell := range a.req.told {
		tell(output{a.reply})
	}
	a.req.told = nil
}

// sets writes the result sets, until the client cancels.
func (a *answer) sets(sets []Set) error {
	out := output{a.reply}
	due := a.srv.faults.due(InRows, a.req)
	for _, set := range sets {
		writeColumns(out, set.Columns)
		for n, row := range set.Rows {
			if err := a.after(int64(n), due); err != nil {
				return err
			}
			writeRow(out, set.Columns, row)
		}
		if err := a.after(int64(len(set.Rows)), due); err != nil {
			return err
		}
		token := byte(tokenDone)
		if a.req.proc {
			token = tokenDoneInner
		}
		writeDone(out, token, a.status(doneMore|doneCount), commandSelect, int64(len(set.Rows)))
	}
	return nil
}

// after triggers the faults that are due after so many rows of a result set. It returns an error if
// the client has cancelled.
func (a *answer) after(rows int64, due []*Injected) error {
	for _, injected := range due {
		if rows < injected.fault.Rows || !injected.strikes() {
			continue
		}
		a.reply.flush()
		if err := a.suffer(injected, a.req); err != nil {
			return err
		}
	}
	if a.cancelled() {
		return errCancelled
	}
	return nil
}

// status adds the bit of an open transaction to the bits of DONE.
func (a *answer) status(bits uint16) uint16 {
	if a.tran != nil {
		bits |= doneTransaction
	}
	return bits
}

// end writes the end of a successful answer. The number of changed rows is marked as a count only if
// there are any or no result sets, because the driver adds up all counts.
func (a *answer) end(result Result) {
	out := output{a.reply}
	bits, changed := uint16(doneFinal), result.Affected+result.Triggers
	if len(result.Sets) == 0 || changed > 0 {
		bits = doneCount
	}
	if !a.req.proc {
		writeDone(out, tokenDone, a.status(bits), 0, changed)
		return
	}
	writeDone(out, tokenDoneInner, a.status(bits|doneMore), 0, changed)
	for i, param := range a.req.Params {
		if value, ok := result.Output[param.Name]; ok && param.Output {
			writeOutput(out, i, param, value)
		}
	}
	out.u8(tokenStatus)
	out.u32(uint32(result.Status))
	writeDone(out, tokenDoneProc, a.status(doneFinal), 0, 0)
}

// fail sends an error, and ends the connection from class 20 on.
func (a *answer) fail(e *Error) error {
	out := output{a.reply}
	e.write(out)
	token, bits := byte(tokenDone), uint16(doneError)
	if a.req.proc {
		token = tokenDoneProc
	}
	if e.Class >= fatalClass {
		bits |= doneSevere
	}
	writeDone(out, token, a.status(bits), 0, 0)
	if err := a.reply.finish(); err != nil || e.Class < fatalClass {
		return err
	}
	return a.drop(false)
}
