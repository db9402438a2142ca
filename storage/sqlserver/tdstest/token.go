package tdstest

import "bytes"

// The tokens of an answer.
const (
	tokenStatus    = 0x79
	tokenColumns   = 0x81
	tokenError     = 0xaa
	tokenValue     = 0xac
	tokenLoginAck  = 0xad
	tokenRow       = 0xd1
	tokenEnv       = 0xe3
	tokenDone      = 0xfd
	tokenDoneProc  = 0xfe
	tokenDoneInner = 0xff
)

// The bits of DONE.
const (
	doneFinal       = 0x00
	doneMore        = 0x01
	doneError       = 0x02
	doneTransaction = 0x04
	doneCount       = 0x10
	doneAttention   = 0x20
	doneSevere      = 0x100
)

const commandSelect = 0xc1

// The changes of environment.
const (
	envDatabase   = 1
	envPacketSize = 4
	envBegin      = 8
	envCommit     = 9
	envRollback   = 10
	envResetDone  = 18
)

func writeDone(out output, token byte, status, command uint16, rows int64) {
	out.u8(token)
	out.u16(status)
	out.u16(command)
	out.u64(uint64(rows))
}

// writeEnv writes a change of environment. Each value is preceded by its length in bytes, except that
// text and the values of envResetDone already begin with a length.
func writeEnv(out output, kind byte, now, before []byte) {
	var body bytes.Buffer
	env := output{&body}
	env.u8(kind)
	for _, value := range [][]byte{now, before} {
		if kind != envDatabase && kind != envPacketSize && kind != envResetDone {
			env.u8(byte(len(value)))
		}
		env.bytes(value)
	}
	out.u8(tokenEnv)
	out.u16(uint16(body.Len()))
	out.bytes(body.Bytes())
}

func text8Bytes(text string) []byte {
	var body bytes.Buffer
	output{&body}.text8(text)
	return body.Bytes()
}

// The bits of a column.
const (
	columnNullable = 0x01
	columnWritable = 0x08
)

func writeColumns(out output, columns []Column) {
	out.u8(tokenColumns)
	out.u16(uint16(len(columns)))
	for _, column := range columns {
		out.u32(0)
		flags := uint16(columnWritable)
		if column.Nullable {
			flags |= columnNullable
		}
		out.u16(flags)
		column.Type.wire(column.Nullable).write(out)
		out.text8(column.Name)
	}
}

func writeRow(out output, columns []Column, row []any) {
	out.u8(tokenRow)
	for i, column := range columns {
		column.Type.wire(column.Nullable).writeValue(out, row[i])
	}
}

// writeOutput writes an output parameter with the type of the parameter in the request.
func writeOutput(out output, ordinal int, param Param, value any) {
	out.u8(tokenValue)
	out.u16(uint16(ordinal))
	out.text8("@" + param.Name)
	out.u8(paramOutput)
	out.u32(0)
	out.u16(columnNullable)
	t := param.Type
	w := t.wire(true)
	w.write(out)
	w.writeValue(out, value)
}
