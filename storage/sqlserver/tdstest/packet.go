package tdstest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
)

// The kinds of packets.
const (
	packetBatch     = 1
	packetRPC       = 3
	packetReply     = 4
	packetAttention = 6
	packetBulk      = 7
	packetTran      = 14
	packetLogin     = 16
	packetPrelogin  = 18
)

// The bits of a packet's status.
const (
	statusLast          = 0x01
	statusReset         = 0x08
	statusResetKeepTran = 0x10
)

const headerBytes = 8

var (
	// errProtocol ends a connection on which the client violated the protocol.
	errProtocol = errors.New("the client violated the protocol")
	// errGone is returned after the connection has ended.
	errGone = errors.New("the connection is gone")
	// errCancelled is returned after the client has cancelled the request.
	errCancelled = errors.New("the request was cancelled")
)

// packet is one packet without its header.
type packet struct {
	kind   byte
	status byte
	body   []byte
}

func readPacket(conn io.Reader) (packet, error) {
	var header [headerBytes]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return packet{}, err
	}
	size := int(binary.BigEndian.Uint16(header[2:]))
	if size < headerBytes {
		return packet{}, errProtocol
	}
	body := make([]byte, size-headerBytes)
	if _, err := io.ReadFull(conn, body); err != nil {
		return packet{}, err
	}
	return packet{header[0], header[1], body}, nil
}

// message reads the body of one message from its packets as they arrive.
type message struct {
	packets <-chan packet
	kind    byte
	status  byte
	rest    []byte
	last    bool
	err     error // of all further reads
	bytes   int64 // read so far
}

func newMessage(packets <-chan packet, first packet) *message {
	return &message{
		packets: packets,
		kind:    first.kind,
		status:  first.status,
		rest:    first.body,
		last:    first.status&statusLast != 0,
	}
}

// Read fails if the client begins another message before the end of this one.
func (m *message) Read(buffer []byte) (int, error) {
	for len(m.rest) == 0 {
		if m.last {
			return 0, io.EOF
		}
		if m.err != nil {
			return 0, m.err
		}
		next, ok := <-m.packets
		switch {
		case !ok:
			m.err = errGone
			continue
		case next.kind != m.kind:
			m.err = errProtocol
			continue
		}
		m.rest, m.last = next.body, next.status&statusLast != 0
	}
	n := copy(buffer, m.rest)
	m.rest = m.rest[n:]
	m.bytes += int64(n)
	return n, nil
}

// discard reads the rest of the message.
func (m *message) discard() error {
	_, err := io.Copy(io.Discard, m)
	return err
}

// reply writes one message in packets of the negotiated size. After an error it writes nothing more
// and returns that error.
type reply struct {
	conn   net.Conn
	size   int
	buffer []byte
	number byte
	err    error
}

func newReply(conn net.Conn, size int) *reply {
	r := &reply{conn: conn, size: size, buffer: make([]byte, headerBytes, size)}
	return r
}

// Write does not send the last packet that it fills, because only finish can mark it as the last.
func (r *reply) Write(data []byte) (int, error) {
	written := len(data)
	for len(data) > 0 {
		if len(r.buffer) == r.size {
			r.send(0)
		}
		n := min(len(data), r.size-len(r.buffer))
		r.buffer = append(r.buffer, data[:n]...)
		data = data[n:]
	}
	return written, r.err
}

func (r *reply) send(status byte) {
	r.number++
	r.buffer[0], r.buffer[1], r.buffer[6] = packetReply, status, r.number
	binary.BigEndian.PutUint16(r.buffer[2:], uint16(len(r.buffer)))
	if r.err == nil {
		_, r.err = r.conn.Write(r.buffer)
	}
	r.buffer = r.buffer[:headerBytes]
}

// flush sends the data written so far, so that the client gets it before a fault.
func (r *reply) flush() {
	if len(r.buffer) > headerBytes {
		r.send(0)
	}
}

func (r *reply) finish() error {
	r.send(statusLast)
	return r.err
}
