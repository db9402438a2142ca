package gguftest

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/hartonomous/ingest/ingest/format/gguf"
)

// Raw builds a valid or invalid header field by field. Its methods append to Bytes and return the
// receiver, so that they can be chained. The zero value is little-endian with lengths of 64 bits.
type Raw struct {
	Bytes     []byte
	BigEndian bool
	// Short makes lengths, counts and dimensions 32 bits wide, as in version 1.
	Short bool
}

// Len returns the offset of the next field.
func (r *Raw) Len() int64 { return int64(len(r.Bytes)) }

func (r *Raw) order() binary.AppendByteOrder {
	if r.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Text appends the bytes of s.
func (r *Raw) Text(s string) *Raw {
	r.Bytes = append(r.Bytes, s...)
	return r
}

// U8 appends one byte.
func (r *Raw) U8(n uint8) *Raw {
	r.Bytes = append(r.Bytes, n)
	return r
}

// U16 appends two bytes.
func (r *Raw) U16(n uint16) *Raw {
	r.Bytes = r.order().AppendUint16(r.Bytes, n)
	return r
}

// U32 appends four bytes.
func (r *Raw) U32(n uint32) *Raw {
	r.Bytes = r.order().AppendUint32(r.Bytes, n)
	return r
}

// U64 appends eight bytes.
func (r *Raw) U64(n uint64) *Raw {
	r.Bytes = r.order().AppendUint64(r.Bytes, n)
	return r
}

// Count appends a length, a count or a dimension: four bytes if Short, otherwise eight.
func (r *Raw) Count(n uint64) *Raw {
	if r.Short {
		return r.U32(uint32(n))
	}
	return r.U64(n)
}

// String appends the length of a string and its bytes.
func (r *Raw) String(s string) *Raw { return r.Count(uint64(len(s))).Text(s) }

// Start appends magic, version and the two counts.
func (r *Raw) Start(version uint32, tensors, keys uint64) *Raw {
	return r.Text(gguf.Magic).U32(version).Count(tensors).Count(keys)
}

// Key appends a key and the type of its value, which must follow.
func (r *Raw) Key(key string, t gguf.ValueType) *Raw { return r.String(key).U32(uint32(t)) }

// KV appends a key and a value; see [KV].
func (r *Raw) KV(key string, value any) *Raw {
	return r.Key(key, valueType(value)).Value(value)
}

// Tensor appends a tensor info.
func (r *Raw) Tensor(name string, shape []uint64, t gguf.Type, offset uint64) *Raw {
	r.String(name).U32(uint32(len(shape)))
	for _, dim := range shape {
		r.Count(dim)
	}
	return r.U32(uint32(t)).U64(offset)
}

// Pad appends zeros up to a multiple of alignment.
func (r *Raw) Pad(alignment int64) *Raw {
	for r.Len()%alignment != 0 {
		r.U8(0)
	}
	return r
}

// Zeros appends n zeros.
func (r *Raw) Zeros(n int) *Raw {
	r.Bytes = append(r.Bytes, make([]byte, n)...)
	return r
}

// Value appends a value without its type.
func (r *Raw) Value(value any) *Raw {
	switch v := value.(type) {
	case uint8:
		return r.U8(v)
	case int8:
		return r.U8(uint8(v))
	case uint16:
		return r.U16(v)
	case int16:
		return r.U16(uint16(v))
	case uint32:
		return r.U32(v)
	case int32:
		return r.U32(uint32(v))
	case float32:
		return r.U32(math.Float32bits(v))
	case uint64:
		return r.U64(v)
	case int64:
		return r.U64(uint64(v))
	case float64:
		return r.U64(math.Float64bits(v))
	case bool:
		if v {
			return r.U8(1)
		}
		return r.U8(0)
	case string:
		return r.String(v)
	}
	array := arrayOf(value)
	r.U32(uint32(array.Elem)).Count(uint64(len(array.Items)))
	for _, item := range array.Items {
		r.Value(item)
	}
	return r
}

// arrayOf converts a slice to an Array.
func arrayOf(value any) Array {
	switch v := value.(type) {
	case Array:
		return v
	case []string:
		return list(gguf.ValueString, v)
	case []bool:
		return list(gguf.ValueBool, v)
	case []uint8:
		return list(gguf.ValueUint8, v)
	case []int32:
		return list(gguf.ValueInt32, v)
	case []uint32:
		return list(gguf.ValueUint32, v)
	case []float32:
		return list(gguf.ValueFloat32, v)
	}
	panic(fmt.Sprintf("gguftest: no GGUF value for %T", value))
}

func list[T any](elem gguf.ValueType, items []T) Array {
	a := Array{Elem: elem, Items: make([]any, len(items))}
	for i, item := range items {
		a.Items[i] = item
	}
	return a
}

// valueType returns the GGUF type of a value.
func valueType(value any) gguf.ValueType {
	switch value.(type) {
	case uint8:
		return gguf.ValueUint8
	case int8:
		return gguf.ValueInt8
	case uint16:
		return gguf.ValueUint16
	case int16:
		return gguf.ValueInt16
	case uint32:
		return gguf.ValueUint32
	case int32:
		return gguf.ValueInt32
	case float32:
		return gguf.ValueFloat32
	case uint64:
		return gguf.ValueUint64
	case int64:
		return gguf.ValueInt64
	case float64:
		return gguf.ValueFloat64
	case bool:
		return gguf.ValueBool
	case string:
		return gguf.ValueString
	}
	return gguf.ValueArray
}
