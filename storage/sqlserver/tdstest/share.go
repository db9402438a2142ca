package tdstest

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Share is FILESTREAM for clients that are programs of their own: the values that a transaction has asked the paths
// of are files in a folder, for as long as it lasts. The double of Microsoft's driver
// (filestream/testdata/msoledbsql.c)
// takes that folder for the server. The rules are those of FileStream, as far as they are the server's:
//
//   - the token is NULL outside of a transaction, and means nothing once that has ended;
//   - data cannot be changed, nor the transaction committed, while one of its files is open;
//   - what is in a file when the transaction is committed becomes the value; what is
//     written later, or before a rollback, is nobody's.
//
// Which files are open is read from /proc: of Linux, where Wine has all files of its programs.
type Share struct {
	// AnyLogin lets the files of a SQL login be opened, which the server does not.
	AnyLogin bool

	folder string
	tokens map[*transaction]string
	lent   map[*transaction][]lent
	srv    *Server
}

// lent is a value that can be opened as a file.
type lent struct {
	file   string
	before []byte
	save   func(value []byte) error
}

var _ rules = (*Share)(nil)

// Share turns FILESTREAM on, with the files in folder.
func (s *Server) Share(folder string) *Share {
	share := &Share{srv: s, folder: folder, tokens: make(map[*transaction]string), lent: make(map[*transaction][]lent)}
	for _, name := range []string{"files", "tokens", "busy"} {
		if err := os.MkdirAll(filepath.Join(folder, name), 0o777); err != nil {
			s.t.Fatal(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, share)
	return share
}

// Token is GET_FILESTREAM_TRANSACTION_CONTEXT(). That of a SQL login opens nothing.
func (s *Share) Token(req *Request) any {
	tran := req.Session.tran
	if tran == nil {
		return nil
	}
	name := s.tokens[tran]
	if name == "" {
		token := make([]byte, 16)
		rand.Read(token)
		name = filepath.Join(s.folder, "tokens", hex.EncodeToString(token))
		s.tokens[tran] = name
		if req.Session.login.Integrated || s.AnyLogin {
			s.check(os.WriteFile(name, token, 0o666))
		}
	}
	token, err := hex.DecodeString(filepath.Base(name))
	s.check(err)
	return token
}

// Lend is PathName() of a value, known by a name of letters and digits that no other has: NULL while the value
// is, which is nil. If the transaction is committed and the file holds something else, save makes that the value,
// within the transaction. Outside of one, there is a path and no file.
func (s *Share) Lend(req *Request, name string, value []byte, save func(value []byte) error) any {
	if value == nil {
		return nil
	}
	file := filepath.Join(s.folder, "files", name)
	if tran := req.Session.tran; tran != nil && !s.has(tran, file) {
		s.check(os.WriteFile(file, value, 0o666))
		s.lent[tran] = append(s.lent[tran], lent{file, value, save})
	}
	return sharePath + name
}

const sharePath = `\\TDSTEST\MSSQLSERVER\v02-A60EC2F8-2B24-11DF-9CC3-AF2E56D89593\`

func (s *Share) has(tran *transaction, file string) bool {
	for _, l := range s.lent[tran] {
		if l.file == file {
			return true
		}
	}
	return false
}

// check has what is wrong with the folder fail the test.
func (s *Share) check(err error) {
	if err != nil {
		s.srv.t.Errorf("the share: %v", err)
	}
}

// open reports whether a program has one of the transaction's files open.
func (s *Share) open(tran *transaction) bool {
	if len(s.lent[tran]) == 0 {
		return false
	}
	within := filepath.Join(s.folder, "files") + string(filepath.Separator)
	found, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is right
	for _, descriptor := range found {
		file, err := os.Readlink(descriptor)
		if err == nil && strings.HasPrefix(file, within) && s.has(tran, file) {
			return true
		}
	}
	return false
}

// anyChange is a statement that makes the transaction's data, or their tables, other ones, or a savepoint.
var anyChange = regexp.MustCompile(dataChange.String() + "|" + metaChange.String() + "|" + savepoint.String())

func (s *Share) statement(req *Request) error {
	tran := req.Session.tran
	if tran == nil || len(s.lent[tran]) == 0 {
		return nil
	}
	switch changes := anyChange.MatchString(stripComments(req.SQL)); {
	case !s.open(tran):
		return s.settle(tran) // a statement reads what was written; a change comes after it, and may undo it
	case changes:
		return Errorf("FILESTREAM: data cannot be changed while a file is open")
	}
	return nil
}

// settle makes what was written to files the values, as closing them does on the server.
func (s *Share) settle(tran *transaction) error {
	for i := range s.lent[tran] {
		l := &s.lent[tran][i]
		value, err := os.ReadFile(l.file)
		if err == nil && !bytes.Equal(value, l.before) {
			l.before = value
			err = l.save(value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Share) commit(tran *transaction) error {
	if s.open(tran) {
		return Errorf("FILESTREAM: COMMIT while a file is open; the transaction is rolled back")
	}
	return s.settle(tran)
}

func (s *Share) ended(tran *transaction) {
	if token := s.tokens[tran]; token != "" {
		if err := os.Remove(token); !os.IsNotExist(err) { // as is that of a SQL login
			s.check(err)
		}
	}
	for _, l := range s.lent[tran] {
		s.check(os.Remove(l.file))
	}
	delete(s.tokens, tran)
	delete(s.lent, tran)
}
