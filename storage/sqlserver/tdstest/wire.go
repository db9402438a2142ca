package tdstest

import (
	"encoding/binary"
	"io"
	"unicode/utf16"
)

// input reads the scalars of the protocol, little-endian. After the first error, which stays in err,
// all reads return zero.
type input struct {
	r   io.Reader
	err error
}

func (in *input) bytes(n int) []byte {
	buffer := make([]byte, n)
	if in.err == nil {
		_, in.err = io.ReadFull(in.r, buffer)
	}
	if in.err != nil {
		clear(buffer)
	}
	return buffer
}

func (in *input) u8() byte    { return in.bytes(1)[0] }
func (in *input) u16() uint16 { return binary.LittleEndian.Uint16(in.bytes(2)) }
func (in *input) u32() uint32 { return binary.LittleEndian.Uint32(in.bytes(4)) }
func (in *input) u64() uint64 { return binary.LittleEndian.Uint64(in.bytes(8)) }

// text8 reads UTF-16 after a count of characters in 8 bits.
func (in *input) text8() string { return decodeUTF16(in.bytes(2 * int(in.u8()))) }

// output writes the scalars of the protocol. The writer must keep errors.
type output struct{ w io.Writer }

func (out output) bytes(data []byte) { out.w.Write(data) }
func (out output) u8(v byte)         { out.w.Write([]byte{v}) }
func (out output) u16(v uint16)      { out.w.Write(binary.LittleEndian.AppendUint16(nil, v)) }
func (out output) u32(v uint32)      { out.w.Write(binary.LittleEndian.AppendUint32(nil, v)) }
func (out output) u64(v uint64)      { out.w.Write(binary.LittleEndian.AppendUint64(nil, v)) }

// text8 writes UTF-16 after a count of characters, cut at 255 characters.
func (out output) text8(s string) {
	units := encodeUTF16(s)
	units = units[:min(len(units), 2*255)]
	out.u8(byte(len(units) / 2))
	out.bytes(units)
}

func encodeUTF16(s string) []byte {
	units := utf16.Encode([]rune(s))
	data := make([]byte, 0, 2*len(units))
	for _, unit := range units {
		data = binary.LittleEndian.AppendUint16(data, unit)
	}
	return data
}

func decodeUTF16(data []byte) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units))
}

// upperLatin has the characters of code page 1252 from 0x80 to 0x9f, where it differs from Latin-1.
var upperLatin = []rune("€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ")

// encodeLatin converts text to code page 1252, that of the server's collation. Other characters become
// question marks.
func encodeLatin(s string) []byte {
	data := make([]byte, 0, len(s))
	for _, r := range s {
		data = append(data, latinByte(r))
	}
	return data
}

func latinByte(r rune) byte {
	if r < 0x80 || r >= 0xa0 && r < 0x100 {
		return byte(r)
	}
	for i, special := range upperLatin {
		if r == special {
			return byte(0x80 + i)
		}
	}
	return '?'
}

func decodeLatin(data []byte) string {
	text := make([]rune, len(data))
	for i, b := range data {
		text[i] = rune(b)
		if b >= 0x80 && b < 0xa0 {
			text[i] = upperLatin[b-0x80]
		}
	}
	return string(text)
}
