package gguf

import (
	"fmt"
	"math"
	"strconv"
)

// ValueType is the type of a metadata value, by the number that the file has for it.
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

// valueTypes holds the name and the bytes of each value type; a string or an array has no size of its own.
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

// size returns the bytes of a number or a bool, 0 for what has a length of its own.
func (t ValueType) size() int64 { return valueTypes[t].size }

// least returns the fewest bytes that a value takes where a length takes width bytes.
func (t ValueType) least(width int) int {
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
	// Type of the value.
	Type ValueType
	// Elem is the type of an array's items.
	Elem ValueType
	// Length of a string in bytes, or of an array in items, as in the file, whatever is kept here.
	Length uint64
	// Offset in the file of the value's first byte: of the text of a string, or of the first item of an array.
	Offset int64
	// First holds the first items of an array, at most eight. Of items that are arrays only type and length are kept,
	// of items that are strings at most 256 bytes.
	First []Value

	bits uint64 // of a number or bool, as in the file
	text string // of a string, the part that is kept
}

// Uint returns an integer that is zero or more; ok is false for anything else.
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

// Float returns a floating-point number, which may be infinite or none; ok is false for anything else.
func (v Value) Float() (n float64, ok bool) {
	if v.Type != ValueFloat32 && v.Type != ValueFloat64 {
		return 0, false
	}
	return v.float(), true
}

// float returns the number that the bits of a float32 or float64 stand for.
func (v Value) float() float64 {
	if v.Type == ValueFloat32 {
		return float64(math.Float32frombits(uint32(v.bits)))
	}
	return math.Float64frombits(v.bits)
}

// Bool returns a truth value; ok is false for anything else.
func (v Value) Bool() (b, ok bool) {
	return v.bits == 1 && v.Type == ValueBool, v.Type == ValueBool
}

// Text returns the part of a string that is kept, at most 4 KiB; ok is false for anything else. It may hold any bytes.
func (v Value) Text() (text string, ok bool) { return v.text, v.Type == ValueString }

// Truncated reports whether a string or an array is longer than what is kept of it.
func (v Value) Truncated() bool {
	switch v.Type {
	case ValueString:
		return v.Length > uint64(len(v.text))
	case ValueArray:
		return v.Length > uint64(len(v.First))
	}
	return false
}

// String describes the value in a form that is safe to print: a string is quoted, an array is its type and length.
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
