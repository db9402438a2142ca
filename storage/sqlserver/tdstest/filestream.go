package tdstest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
)

// FileStream is the part of the server that lets clients read and write payloads as files, in the
// transaction of a session, with the documented rules of OpenSqlFilestream. Handlers use Token, Path
// and Put for their answers; the test double of the client API uses Open.
//
// It refuses statements with error 50000, because the documentation does not give the numbers.
type FileStream struct {
	// AnyLogin allows SQL logins to open files, which the server does not.
	AnyLogin bool

	srv     *Server
	tokens  map[string]grant
	files   map[string][]byte       // by path; nil is NULL
	changed map[string]*transaction // the open transaction that has changed a file
	handles []*Handle               // open handles of open transactions
	busy    int
}

// grant is the transaction of a token.
type grant struct {
	tran       *transaction
	integrated bool
}

var _ rules = (*FileStream)(nil)

// FileStream enables FILESTREAM.
func (s *Server) FileStream() *FileStream {
	fs := &FileStream{srv: s, tokens: make(map[string]grant), files: make(map[string][]byte),
		changed: make(map[string]*transaction)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, fs)
	return fs
}

// Win32Error is an error code of GetLastError.
type Win32Error uint32

// The errors of Open.
const (
	ErrFileNotFound     Win32Error = 2
	ErrAccessDenied     Win32Error = 5
	ErrSharingViolation Win32Error = 32
	ErrInvalidParameter Win32Error = 87
)

func (e Win32Error) Error() string { return fmt.Sprintf("Win32 error %d", uint32(e)) }

// Access is the kind of access to a file, with the numbers of the API.
type Access uint32

// The kinds of access.
const (
	Read Access = iota
	Write
	ReadWrite
)

// Token returns GET_FILESTREAM_TRANSACTION_CONTEXT(), which is NULL outside of a transaction.
func (f *FileStream) Token(req *Request) any {
	tran := req.Session.tran
	if tran == nil {
		return nil
	}
	for token, grant := range f.tokens {
		if grant.tran == tran {
			return []byte(token)
		}
	}
	token := make([]byte, 16)
	rand.Read(token)
	f.tokens[string(token)] = grant{tran, req.Session.login.Integrated}
	return token
}

// Path returns PathName() of a value, which is NULL while the value is. name must be unique.
func (f *FileStream) Path(name string) any {
	path := filePath(name)
	if f.files[path] == nil {
		return nil
	}
	return path
}

func filePath(name string) string {
	return `\\TDSTEST\MSSQLSERVER\v02-A60EC2F8-2B24-11DF-9CC3-AF2E56D89593\` + hex.EncodeToString([]byte(name))
}

// Put sets a value as INSERT and UPDATE do; nil is NULL.
func (f *FileStream) Put(req *Request, name string, payload []byte) {
	f.set(req.transaction(), filePath(name), payload)
}

// Payload returns a value as SELECT would, without the data written to open handles. Call it in a
// handler or in [Server.Do].
func (f *FileStream) Payload(name string) []byte { return f.files[filePath(name)] }

func (f *FileStream) set(tran *transaction, path string, payload []byte) {
	before := f.files[path]
	f.files[path], f.changed[path] = payload, tran
	tran.undo = append(tran.undo, func() { f.files[path] = before })
}

// Busy makes the next calls of Open fail with a sharing violation.
func (f *FileStream) Busy(times int) { f.srv.Do(func() { f.busy = times }) }

// OpenHandles returns the number of open handles of open transactions.
func (f *FileStream) OpenHandles() (n int) {
	f.srv.Do(func() { n = len(f.handles) })
	return n
}

// Handle is an open file.
type Handle struct {
	fs      *FileStream
	tran    *transaction
	path    string
	access  Access
	payload []byte
	at      int // of the next byte to read
	closed  bool
}

// Open opens a file in the transaction of the token. It never blocks. A file that is opened for
// writing starts empty.
func (f *FileStream) Open(path string, access Access, token []byte) (handle *Handle, err error) {
	f.srv.Do(func() { handle, err = f.open(path, access, token) })
	return handle, err
}

func (f *FileStream) open(path string, access Access, token []byte) (*Handle, error) {
	grant, ok := f.tokens[string(token)]
	payload := f.files[path]
	switch {
	case access > ReadWrite || !ok:
		return nil, ErrInvalidParameter
	case !grant.integrated && !f.AnyLogin:
		return nil, ErrAccessDenied
	case payload == nil:
		return nil, ErrFileNotFound
	// The row belongs to another open transaction.
	case f.changed[path] != nil && f.changed[path] != grant.tran:
		return nil, ErrFileNotFound
	case f.busy > 0:
		f.busy--
		return nil, ErrSharingViolation
	}
	for _, other := range f.handles {
		if other.path == path && (other.access != Read || access != Read) {
			return nil, ErrSharingViolation
		}
	}
	handle := &Handle{fs: f, tran: grant.tran, path: path, access: access}
	if access == Read {
		handle.payload = slices.Clone(payload)
	}
	f.handles = append(f.handles, handle)
	return handle, nil
}

// Write appends to the file. After the end of the transaction it succeeds without effect.
func (h *Handle) Write(data []byte) (int, error) {
	if h.closed || h.access == Read {
		return 0, ErrAccessDenied
	}
	h.payload = append(h.payload, data...)
	return len(data), nil
}

// Read reads the content of the file.
func (h *Handle) Read(buffer []byte) (int, error) {
	if h.closed || h.access == Write {
		return 0, ErrAccessDenied
	}
	if h.at == len(h.payload) {
		return 0, io.EOF
	}
	n := copy(buffer, h.payload[h.at:])
	h.at += n
	return n, nil
}

// Close sets the value to the written data, in the transaction.
func (h *Handle) Close() error {
	h.fs.srv.Do(func() {
		alive := slices.Contains(h.fs.handles, h)
		if alive && h.access != Read {
			h.fs.set(h.tran, h.path, append([]byte{}, h.payload...))
		}
		h.closed = true
		h.fs.handles = slices.DeleteFunc(h.fs.handles, func(other *Handle) bool { return other == h })
	})
	return nil
}

var (
	dataChange = regexp.MustCompile(`(?is)\b(insert|update|delete|merge|truncate|bulk\s+load)\b`)
	metaChange = regexp.MustCompile(`(?is)\b(create|alter|drop)\s+(table|index)\s+[^#\s]`)
	savepoint  = regexp.MustCompile(`(?is)\bsave\s+tran`)
)

// statement refuses statements that are not allowed while files are open.
func (f *FileStream) statement(req *Request) error {
	tran := req.Session.tran
	writing := slices.ContainsFunc(f.handles, func(h *Handle) bool { return h.tran == tran && h.access != Read })
	open := slices.ContainsFunc(f.handles, func(h *Handle) bool { return h.tran == tran })
	plain := stripComments(req.SQL)
	switch {
	case writing && dataChange.MatchString(plain):
		return Errorf("FILESTREAM: data cannot be changed while a file is open for writing")
	case writing && metaChange.MatchString(plain):
		return Err(1222) // it would wait for the file until a timeout
	case open && savepoint.MatchString(plain):
		refusal := Errorf("FILESTREAM: SAVE TRANSACTION while a file is open")
		refusal.EndsTransaction = true
		return refusal
	}
	return nil
}

func (f *FileStream) commit(tran *transaction) error {
	if slices.ContainsFunc(f.handles, func(h *Handle) bool { return h.tran == tran }) {
		return Errorf("FILESTREAM: COMMIT while a file is open; the transaction is rolled back")
	}
	return nil
}

// ended invalidates the tokens and handles of a transaction. The owners of the handles get no error.
func (f *FileStream) ended(tran *transaction) {
	for token, grant := range f.tokens {
		if grant.tran == tran {
			delete(f.tokens, token)
		}
	}
	maps.DeleteFunc(f.changed, func(_ string, by *transaction) bool { return by == tran })
	f.handles = slices.DeleteFunc(f.handles, func(h *Handle) bool { return h.tran == tran })
}
