package gguf

import (
	"encoding/json"
	"math"

	"github.com/hartonomous/ingest/ingest/format/header"
)

// MarshalJSON returns {"key": ..., "type": ..., "value": ...}.
func (kv KV) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Key   string `json:"key"`
		Type  string `json:"type"`
		Value Value  `json:"value"`
	}{kv.Key, kv.Value.Type.String(), kv.Value})
}

// MarshalJSON returns a number, a bool or a string as such. An array or a truncated string becomes
// an object with type, length and first items or bytes. Numbers that JSON does not have become the
// strings "NaN", "Infinity" and "-Infinity"; bytes that are not UTF-8 become U+FFFD.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.Type {
	case ValueArray:
		return json.Marshal(struct {
			Type   string  `json:"type"`
			Length uint64  `json:"length"`
			First  []Value `json:"first,omitempty"`
		}{v.Elem.String(), v.Length, v.First})
	case ValueString:
		return header.TextJSON(v.text, v.Length)
	case ValueFloat32, ValueFloat64:
		return v.marshalFloat()
	}
	return []byte(v.String()), nil
}

func (v Value) marshalFloat() ([]byte, error) {
	n := v.float()
	switch {
	case math.IsNaN(n):
		return []byte(`"NaN"`), nil
	case math.IsInf(n, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(n, -1):
		return []byte(`"-Infinity"`), nil
	case v.Type == ValueFloat32:
		return json.Marshal(float32(n))
	}
	return json.Marshal(n)
}
