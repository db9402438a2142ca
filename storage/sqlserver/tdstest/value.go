package tdstest

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
)

// wire is a type in the protocol (TYPE_INFO). size is in bytes.
type wire struct {
	id               byte
	size             int
	precision, scale byte
}

// sizeMax is the size of the types with (max), whose values are sent in chunks.
const sizeMax = 0xffff

// Special lengths and limits.
const (
	shortNull    = 0xffff
	chunksNull   = math.MaxUint64
	chunkBytes   = 60_000 // of the chunks that are sent
	largestValue = 1<<31 - 1
)

// collation is SQL_Latin1_General_CP1_CI_AS.
var collation = []byte{0x09, 0x04, 0xd0, 0x00, 52}

var fixedSizes = map[byte]int{
	wireNull: 0, wireTinyInt: 1, wireBit: 1, wireSmallInt: 2, wireInt: 4, wireReal: 4,
	wireDateTime: 8, wireFloat: 8, wireBigInt: 8,
}

// fixed and the following methods classify types by the encoding of their lengths and values.
func (w wire) fixed() bool   { _, ok := fixedSizes[w.id]; return ok }
func (w wire) text() bool    { return w.wide() || w.id == wireVarChar || w.id == wireChar }
func (w wire) wide() bool    { return w.id == wireNVarChar || w.id == wireNChar }
func (w wire) short() bool   { return w.text() || w.id == wireVarBinary || w.id == wireBinary }
func (w wire) chunked() bool { return w.short() && w.size == sizeMax }
func (w wire) decimal() bool { return w.id == wireDecimalN || w.id == wireNumericN }
func (w wire) timed() bool {
	return w.id == wireTime || w.id == wireDateTime2 || w.id == wireDateTimeOffset
}

// readWire reads TYPE_INFO.
func readWire(in *input) (wire, error) {
	w := wire{id: in.u8()}
	switch {
	case w.fixed():
		w.size = fixedSizes[w.id]
	case w.id == wireDate:
		w.size = 3
	case w.timed():
		w.scale = in.u8()
		w.size = 16
	case w.short():
		w.size = int(in.u16())
		if w.text() {
			in.bytes(len(collation))
		}
	case w.id == wireGUID, w.id == wireIntN, w.id == wireBitN, w.id == wireFloatN, w.id == wireDateTimeN, w.decimal():
		w.size = int(in.u8())
		if w.decimal() {
			w.precision, w.scale = in.u8(), in.u8()
		}
	default:
		return w, Err(8009).with("Type %#02x.", w.id)
	}
	if w.scale > 7 && w.timed() {
		return w, Err(8009).with("Scale %d.", w.scale)
	}
	return w, in.err
}

func (w wire) write(out output) {
	out.u8(w.id)
	switch {
	case w.fixed(), w.id == wireDate:
	case w.timed():
		out.u8(w.scale)
	case w.short():
		out.u16(uint16(w.size))
		if w.text() {
			out.bytes(collation)
		}
	default:
		out.u8(byte(w.size))
		if w.decimal() {
			out.u8(w.precision)
			out.u8(w.scale)
		}
	}
}

// read reads one value. After an error that is not an *Error the rest of the message cannot be read.
func (w wire) read(in *input) (any, error) {
	raw, err := w.readRaw(in)
	if err != nil {
		return nil, err
	}
	if in.err != nil {
		return nil, in.err
	}
	if raw == nil {
		return nil, nil
	}
	return w.decode(raw)
}

// readRaw reads the bytes of a value; nil is NULL.
func (w wire) readRaw(in *input) ([]byte, error) {
	switch {
	case w.id == wireNull:
		return nil, nil
	case w.fixed():
		return in.bytes(w.size), nil
	case w.chunked():
		return readChunks(in)
	case w.short():
		size := in.u16()
		if size == shortNull {
			return nil, nil
		}
		if int(size) > w.size {
			return nil, Err(4815).with("%d bytes for %s.", size, w.name())
		}
		return in.bytes(int(size)), nil
	}
	size := in.u8()
	if size == 0 {
		return nil, nil
	}
	return in.bytes(int(size)), nil
}

// readChunks reads a value in chunks, whose total length is often not given.
func readChunks(in *input) ([]byte, error) {
	if in.u64() == chunksNull {
		return nil, nil
	}
	value := bytes.NewBuffer([]byte{}) // not nil: that is NULL
	for in.err == nil {
		size := in.u32()
		if size == 0 {
			break
		}
		if int64(value.Len())+int64(size) > largestValue {
			return nil, errProtocol
		}
		if _, err := io.CopyN(value, in.r, int64(size)); err != nil {
			return nil, err
		}
	}
	return value.Bytes(), nil
}

// writeValue writes a value that fits the type.
func (w wire) writeValue(out output, value any) {
	var raw []byte
	if value != nil {
		raw = w.encode(value)
	}
	switch {
	case w.fixed():
		out.bytes(raw)
	case w.chunked():
		writeChunks(out, raw, value == nil)
	case w.short() && value == nil:
		out.u16(shortNull)
	case w.short():
		out.u16(uint16(len(raw)))
		out.bytes(raw)
	default:
		out.u8(byte(len(raw)))
		out.bytes(raw)
	}
}

func writeChunks(out output, raw []byte, null bool) {
	if null {
		out.u64(chunksNull)
		return
	}
	out.u64(uint64(len(raw)))
	for len(raw) > 0 {
		chunk := raw[:min(len(raw), chunkBytes)]
		out.u32(uint32(len(chunk)))
		out.bytes(chunk)
		raw = raw[len(chunk):]
	}
	out.u32(0)
}

// name returns the T-SQL type.
func (w wire) name() Type {
	for name, k := range kinds {
		if w.id != k.n && (k.fixed == 0 || w.id != k.fixed) || k.size != 0 && !w.decimal() && k.size != w.size {
			continue
		}
		t := Type{Name: name, Precision: int(w.precision), Scale: int(w.scale)}
		switch {
		case w.chunked():
			t.Length = Max
		case w.wide():
			t.Length = w.size / 2
		case w.short():
			t.Length = w.size
		}
		return t
	}
	return Type{Name: "null"}
}

func intBytes(value int64, size int) []byte {
	return binary.LittleEndian.AppendUint64(nil, uint64(value))[:size]
}
