package gguf

import (
	"fmt"
	"math"
	"strconv"
)

// ValueType is the type of a metadata value, with the number from the file.
type ValueType uint32

// The value types of docs/gguf.md and include/gguf.h in ggml.
const (
	ValueUint8 ValueType = iota
	ValueInt8
	ValueUint16
	ValueInt16
	ValueUint32
	ValueInt32
	ValueFloat32
	ValueBool
	ValueString
	ValueArray
	ValueUint64
	ValueInt64
	ValueFloat64
)

// valueTypes has the name and the size of each value type. Strings and arrays have no fixed size.
var valueTypes = [...]struct {
	name string
	size int64
}{
	ValueUint8:   {"uint8", 1},
	ValueInt8:    {"int8", 1},
	ValueUint16:  {"uint16", 2},
	ValueInt16:   {"int16", 2},
	ValueUint32:  {"uint32", 4},
	ValueInt32:   {"int32", 4},
	ValueFloat32: {"float32", 4},
	ValueBool:    {"bool", 1},
	ValueString:  {"string", 0},
	ValueArray:   {"array", 0},
	ValueUint64:  {"uint64", 8},
	ValueInt64:   {"int64", 8},
	ValueFloat64: {"float64", 8},
}

func (t ValueType) known() bool { return int64(t) < int64(len(valueTypes)) }

// size returns the size of a number or a bool in bytes, 0 for strings and arrays.
func (t ValueType) size() int64 { return valueTypes[t].size }

// minBytes returns the minimum size of a value. A length has width bytes.
func (t ValueType) minBytes(width int) int {
	switch t {
	case ValueString:
		return width
	case ValueArray:
		return 4 + width
	}
	return int(t.size())
}

// String returns the type's name, such as "uint32" or "array".
func (t ValueType) String() string {
	if t.known() {
		return valueTypes[t].name
	}
	return fmt.Sprintf("value type %d", uint32(t))
}

// Value is a value of the metadata, or an item of an array.
type Value struct {
	Type ValueType
	// Elem is the type of an array's items.
	Elem ValueType
	// Length of a string in bytes, or of an array in items, in the file.
	Length uint64
	// Offset of the value in the file: of the text of a string, or of the first item of an array.
	Offset int64
	// First has the first items of an array, at most eight. Items that are arrays have only type
	// and length; items that are strings have at most 256 bytes.
	First []Value

	bits uint64 // of a number or bool, as in the file
	text string // of a string, at most 4 KiB
}

// Uint returns an integer of zero or more; ok is false for anything else.
func (v Value) Uint() (n uint64, ok bool) {
	if v.unsigned() {
		return v.bits, true
	}
	i, ok := v.Int()
	return uint64(i), ok && i >= 0
}

// Int returns an integer that fits an int64; ok is false for anything else.
func (v Value) Int() (n int64, ok bool) {
	switch v.Type {
	case ValueInt8:
		return int64(int8(v.bits)), true
	case ValueInt16:
		return int64(int16(v.bits)), true
	case ValueInt32:
		return int64(int32(v.bits)), true
	case ValueInt64:
		return int64(v.bits), true
	}
	if !v.unsigned() || v.bits > math.MaxInt64 {
		return 0, false
	}
	return int64(v.bits), true
}

func (v Value) unsigned() bool {
	switch v.Type {
	case ValueUint8, ValueUint16, ValueUint32, ValueUint64:
		return true
	}
	return false
}

// float returns the number of a float32 or float64.
func (v Value) float() float64 {
	if v.Type == ValueFloat32 {
		return float64(math.Float32frombits(uint32(v.bits)))
	}
	return math.Float64frombits(v.bits)
}

// Text returns the first 4 KiB of a string, which may contain any bytes; ok is false for anything
// else.
func (v Value) Text() (text string, ok bool) { return v.text, v.Type == ValueString }

// Truncated reports whether the string or array in the file is longer than Text or First.
func (v Value) Truncated() bool {
	switch v.Type {
	case ValueString:
		return v.Length > uint64(len(v.text))
	case ValueArray:
		return v.Length > uint64(len(v.First))
	}
	return false
}

// String describes the value in a form that is safe to print: strings are quoted, arrays have only
// type and length.
func (v Value) String() string {
	switch v.Type {
	case ValueString:
		if v.Truncated() {
			return fmt.Sprintf("%q... (%d bytes)", v.text, v.Length)
		}
		return strconv.Quote(v.text)
	case ValueArray:
		return fmt.Sprintf("array of %d x %s", v.Length, v.Elem)
	case ValueBool:
		return strconv.FormatBool(v.bits == 1)
	case ValueFloat32:
		return strconv.FormatFloat(v.float(), 'g', -1, 32)
	case ValueFloat64:
		return strconv.FormatFloat(v.float(), 'g', -1, 64)
	}
	if n, ok := v.Int(); ok {
		return strconv.FormatInt(n, 10)
	}
	return strconv.FormatUint(v.bits, 10)
}
