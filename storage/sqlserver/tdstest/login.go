package tdstest

import (
	"bytes"
	"encoding/binary"
	"io"
	"strconv"
)

// Login has the fields of a client's login.
type Login struct {
	User       string
	Password   string
	Database   string
	App        string
	Host       string // the client's
	Server     string // as the client calls it
	Integrated bool   // Windows authentication, which always succeeds
	Token      string // the first token of Windows authentication; empty for a SQL login
	ReadOnly   bool   // application intent
	PacketSize int
}

// The options of PRELOGIN that are answered, and the value for no support of encryption.
const (
	preloginVersion    = 0
	preloginEncryption = 1
	preloginMARS       = 4
	preloginEnd        = 0xff
	encryptionMissing  = 2
)

// greet handles the prelogin and the login.
func (s *Session) greet() error {
	if err := s.prelogin(); err != nil {
		return err
	}
	first, ok := <-s.packets
	if !ok || first.kind != packetLogin {
		return errProtocol
	}
	body, err := io.ReadAll(newMessage(s.packets, first))
	if err != nil {
		return err
	}
	login, ok := parseLogin(body)
	if !ok {
		return errProtocol
	}
	s.srv.mu.Lock()
	s.login = login
	s.srv.logins = append(s.srv.logins, login)
	s.srv.mu.Unlock()
	return s.admit(login)
}

func (s *Session) prelogin() error {
	first, ok := <-s.packets
	if !ok || first.kind != packetPrelogin {
		return errProtocol
	}
	if err := newMessage(s.packets, first).discard(); err != nil {
		return err
	}
	options := []struct {
		id    byte
		value []byte
	}{
		{preloginVersion, []byte{16, 0, 0x10, 0, 0, 0}},
		{preloginEncryption, []byte{encryptionMissing}},
		{preloginMARS, []byte{0}},
	}
	var table, values []byte
	for _, option := range options {
		table = append(table, option.id)
		table = binary.BigEndian.AppendUint16(table, uint16(5*len(options)+1+len(values)))
		table = binary.BigEndian.AppendUint16(table, uint16(len(option.value)))
		values = append(values, option.value...)
	}
	r := newReply(s.conn, s.size)
	r.Write(append(append(table, preloginEnd), values...))
	return r.finish()
}

// admit answers a login. A fault can refuse it, which ends the connection.
func (s *Session) admit(login Login) error {
	req := &Request{SQL: "LOGIN " + login.Database, Session: s, ctx: s.ctx}
	err := s.strike(AtLogin, req)
	if fatal(err) {
		return err
	}
	r := newReply(s.conn, s.size)
	out := output{r}
	if err != nil {
		asError(err).write(out)
		writeDone(out, tokenDone, doneError, 0, 0)
		r.finish()
		return errGone
	}
	s.size = min(max(login.PacketSize, 512), 32767)
	writeEnv(out, envDatabase, text8Bytes(login.Database), text8Bytes("master"))
	writeEnv(out, envPacketSize, text8Bytes(strconv.Itoa(s.size)), text8Bytes("4096"))
	writeLoginAck(out)
	writeDone(out, tokenDone, doneFinal, 0, 0)
	return r.finish()
}

func writeLoginAck(out output) {
	var body bytes.Buffer
	ack := output{&body}
	ack.u8(1)                         // T-SQL
	ack.bytes([]byte{0x74, 0, 0, 4})  // TDS 7.4
	ack.text8("Microsoft SQL Server") //
	ack.bytes([]byte{16, 0, 0x10, 0}) // version of the program
	out.u8(tokenLoginAck)             //
	out.u16(uint16(body.Len()))       //
	out.bytes(body.Bytes())           //
}

// Offsets in the fixed part of LOGIN7.
const (
	loginPacketSize = 8
	loginFlags2     = 25
	loginTypeFlags  = 26
	loginHost       = 36
	loginUser       = 40
	loginPassword   = 44
	loginApp        = 48
	loginServer     = 52
	loginDatabase   = 68
	loginToken      = 78
	loginFixed      = 94
)

func parseLogin(body []byte) (Login, bool) {
	if len(body) < loginFixed {
		return Login{}, false
	}
	field := func(at int) []byte {
		start := int(binary.LittleEndian.Uint16(body[at:]))
		end := start + 2*int(binary.LittleEndian.Uint16(body[at+2:]))
		if start > len(body) || end > len(body) {
			return nil
		}
		return body[start:end]
	}
	token := int(binary.LittleEndian.Uint16(body[loginToken:]))
	// Its length is in bytes, those of the other fields are in characters.
	tokenEnd := token + int(binary.LittleEndian.Uint16(body[loginToken+2:]))
	if token > len(body) || tokenEnd > len(body) {
		return Login{}, false
	}
	return Login{
		Token:      string(body[token:tokenEnd]),
		User:       decodeUTF16(field(loginUser)),
		Password:   decodeUTF16(unveil(field(loginPassword))),
		Database:   decodeUTF16(field(loginDatabase)),
		App:        decodeUTF16(field(loginApp)),
		Host:       decodeUTF16(field(loginHost)),
		Server:     decodeUTF16(field(loginServer)),
		Integrated: body[loginFlags2]&0x80 != 0,
		ReadOnly:   body[loginTypeFlags]&0x20 != 0,
		PacketSize: int(binary.LittleEndian.Uint32(body[loginPacketSize:])),
	}, true
}

// unveil decodes a password: the protocol swaps the halves of each byte and then applies XOR 0xa5.
func unveil(data []byte) []byte {
	plain := make([]byte, len(data))
	for i, b := range data {
		b ^= 0xa5
		plain[i] = b<<4 | b>>4
	}
	return plain
}
