package filestream

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// rightOrder is the order of a batch of two rows.
const rightOrder = "begin,insert,insert,ask,read,open 0,write 0,flush 0,close 0,open 1,write 1,flush 1,close " +
	"1,update,commit"

// follow executes steps in the order given, as Store does in its own. It skips a step that cannot
// be executed, like a program that ignores errors.
func (s *session) follow(ctx context.Context, order []string) error {
	files := map[string]Handle{}
	for _, step := range order {
		act, row, _ := strings.Cut(step, " ")
		var err error
		switch act {
		case "begin":
			err = s.Begin(ctx)
		case "insert": // one per row
			row := len(slices.DeleteFunc(slices.Clone(s.steps), func(step string) bool { return step != "insert" }))
			err = s.exec(ctx, "insert", "/* insert */ INSERT INTO t VALUES (@p1, 0x)", s.names[row])
		case "ask":
			err = s.ask(ctx)
		case "peek":
			s.peek()
		case "read":
			err = s.finish()
		case "open":
			if n := int(row[0] - '0'); n < len(s.slots) {
				files[row], err = s.Open(s.slots[n].Path, Write, s.token)
			}
		case "write":
			_, err = files[row].Write([]byte(s.contents[row[0]-'0']))
		case "half":
			_, err = files[row].Write([]byte(s.contents[row[0]-'0'])[:1])
		case "rest":
			_, err = files[row].Write([]byte(s.contents[row[0]-'0'])[1:])
		case "flush":
			err = files[row].Flush()
		case "close":
			err = files[row].Close()
		case "update":
			err = s.Update(ctx)
		case "commit":
			err = s.Commit(ctx)
		case "rollback":
			s.Rollback(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// peek reads the first row and leaves the others unread.
func (s *session) peek() {
	var path string
	if s.rows.Next() && s.rows.Scan(&path, &s.token) == nil {
		s.slots = append(s.slots, Slot{Path: path, Payload: []byte(s.contents[0])})
	}
}

// verdict tries an order on a new server. It returns nil if nothing was refused and the payloads
// are stored.
func verdict(t *testing.T, null bool, order string) error {
	t.Helper()
	srv := newServer(t)
	srv.null = null
	s := srv.session("a=one", "b=two")
	defer s.release()
	if err := s.follow(t.Context(), strings.Split(order, ",")); err != nil {
		return err
	}
	if got := srv.payloads("a", "b"); !slices.Equal(got, []string{"one", "two"}) {
		return errors.New("payloads are " + strings.Join(got, " and ") + ": lost without an error")
	}
	if n := srv.fs.OpenHandles(); n != 0 || s.conn != nil {
		return errors.New("a file or the transaction is still open")
	}
	return nil
}

// Store follows the right order, and the double accepts it.
func TestOrder(t *testing.T) {
	s := newServer(t).session("a=one", "b=two")
	if err := s.store(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.steps, ","); got != rightOrder {
		t.Errorf("Store's order is\n%s\nwant\n%s", got, rightOrder)
	}
	if err := verdict(t, false, rightOrder); err != nil {
		t.Errorf("the right order is refused: %v", err)
	}
}

// Each copy of the order is broken in one place, and fails.
func TestBrokenOrder(t *testing.T) {
	for _, test := range []struct{ name, from, to, says string }{
		{"COMMIT before the last file is closed", "close 1,update,commit", "update,commit,close 1",
			"cannot be changed while"},
		{"COMMIT before close, and no DML", "close 1,update,commit", "commit,close 1,update",
			"COMMIT while a file is open"},
		{"DML before close", "close 1,update", "update,close 1", "cannot be changed while"},
		{"INSERT while a file is open", "insert,insert,ask,read,open 0,write 0",
			"insert,ask,read,open 0,insert,write 0", "cannot be changed while"},
		{"a file that is never closed", "close 0,", "", "cannot be changed while"},
		{"open before the rows are read to the end", "ask,read,open 0", "ask,peek,open 0", "Win32 error 32"},
		{"open twice", "write 0", "open 0,write 0", "Win32 error 32"},
		{"no transaction", "begin,", "", "Win32 error 87"},
		{"the token of the transaction before", "open 0", "commit,begin,open 0", "Win32 error 87"},
		{"no INSERT before the paths are asked for", "insert,insert,ask,read", "ask,read,insert,insert",
			"Win32 error 2"},
		{"nothing written", "write 1,", "", "lost without an error"},
		{"a half payload is continued after another open", "write 0,flush 0", "half 0,close 0,open 0,rest 0,flush 0",
			"lost without an error"},
		{"written after ROLLBACK", "write 0,flush 0,close 0", "rollback,write 0,flush 0,close 0", "Win32 error 87"},
		{"all written after ROLLBACK", "write 0,flush 0,close 0,open 1,write 1,flush 1,close 1,update,commit",
			"rollback,write 0,flush 0,close 0", "lost without an error"},
		{"no COMMIT", ",commit", "", "still open"},
		{"ROLLBACK for COMMIT", "commit", "rollback", "lost without an error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			broken := strings.Replace(rightOrder, test.from, test.to, 1)
			if broken == rightOrder {
				t.Fatalf("%s is not in the order", test.from)
			}
			err := verdict(t, false, broken)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %s, of %s", err, test.says, broken)
			}
		})
	}
	if err := verdict(t, true, rightOrder); err == nil {
		t.Error("rows with NULL payloads were accepted")
	}
}
