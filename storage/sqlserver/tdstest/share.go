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

// Share is FILESTREAM for clients in separate programs. While a transaction lasts, the values whose
// paths it has requested are files in a folder. The test double of Microsoft's driver
// (filestream/testdata/msoledbsql.c) reads and writes that folder. The rules are those of FileStream,
// as far as the server enforces them:
//
//   - the token is NULL outside of a transaction, and invalid after its end;
//   - data cannot be changed, nor the transaction committed, while one of its files is open;
//   - the content of a file at the commit becomes the value; data written later or before a rollback
//     is lost.
//
// Open files are found in /proc of Linux, which also lists those of programs under Wine.
type Share struct {
	// AnyLogin allows SQL logins to open files, which the server does not.
	AnyLogin bool

	folder string
	tokens map[*transaction]string
	lent   map[*transaction][]lent
	srv    *Server
}

// lent is a value with a file in the folder.
type lent struct {
	file   string
	before []byte
	save   func(value []byte) error
}

var _ rules = (*Share)(nil)

// Share enables FILESTREAM, with the files in folder.
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

// Token returns GET_FILESTREAM_TRANSACTION_CONTEXT(). That of a SQL login opens no file, unless
// AnyLogin is set.
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

// Lend returns PathName() of a value. name consists of letters and digits and is unique; nil as value
// and as path is NULL. If the file has another content when the transaction commits, save sets the
// value, in the transaction. Outside of a transaction there is a path and no file.
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

// check fails the test on an error of the folder.
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

// anyChange matches statements that change data or tables, or set a savepoint.
var anyChange = regexp.MustCompile(dataChange.String() + "|" + metaChange.String() + "|" + savepoint.String())

func (s *Share) statement(req *Request) error {
	tran := req.Session.tran
	if tran == nil || len(s.lent[tran]) == 0 {
		return nil
	}
	switch changes := anyChange.MatchString(stripComments(req.SQL)); {
	case !s.open(tran):
		return s.saveFiles(tran) // before the statement, which may read or change the same values
	case changes:
		return Errorf("FILESTREAM: data cannot be changed while a file is open")
	}
	return nil
}

// saveFiles sets the values to the contents of their files, as closing the files does on the server.
func (s *Share) saveFiles(tran *transaction) error {
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
	return s.saveFiles(tran)
}

func (s *Share) ended(tran *transaction) {
	if token := s.tokens[tran]; token != "" {
		if err := os.Remove(token); !os.IsNotExist(err) { // that of a SQL login has no file
			s.check(err)
		}
	}
	for _, l := range s.lent[tran] {
		s.check(os.Remove(l.file))
	}
	delete(s.tokens, tran)
	delete(s.lent, tran)
}
