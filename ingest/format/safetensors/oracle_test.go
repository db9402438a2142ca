package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"unicode/utf8"
)

// wrong says what is wrong with a file, by the rules of the format and the limits of the parser. It
// is another implementation, on encoding/json, and trusts the file with memory.
func wrong(file []byte) string {
	if len(file) < 10 {
		return "it is too short"
	}
	n := binary.LittleEndian.Uint64(file)
	if n < 2 || n > 100_000_000 || n > uint64(len(file)-8) {
		return "the length is wrong"
	}
	header := file[8 : 8+n]
	if header[0] != '{' || !utf8.Valid(header) || !json.Valid(header) {
		return "the header is not JSON"
	}
	if halfCharacter(header) {
		return "an escape is half a character"
	}
	members, why := members(header)
	if why != "" {
		return why
	}
	var extents [][2]int64
	for _, m := range members {
		if m.key == "__metadata__" {
			if why := wrongMetadata(m.value); why != "" {
				return why
			}
			continue
		}
		extent, why := wrongTensor(m.value, int64(8+n))
		if why != "" {
			return why
		}
		extents = append(extents, extent)
	}
	return wrongExtents(extents, int64(len(file))-8-int64(n))
}

// escape matches an escape, also that of a backslash.
var escape = regexp.MustCompile(`\\(u[dD][89aAbB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)`)
var half = regexp.MustCompile(`^\\u[dD][89a-fA-F][0-9a-fA-F]{2}$`)

func halfCharacter(header []byte) bool {
	return slices.ContainsFunc(escape.FindAll(header, -1), half.Match)
}

type member struct {
	key   string
	value json.RawMessage
}

// members returns the members of an object, which must be unique.
func members(object []byte) (all []member, why string) {
	d := json.NewDecoder(bytes.NewReader(object))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Sprintf("%.20s is not an object", object)
	}
	for d.More() {
		key, err := d.Token()
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			return nil, err.Error()
		}
		all = append(all, member{key.(string), value})
	}
	keys := map[string]int{}
	for _, m := range all {
		keys[m.key]++
		if keys[m.key] > 1 {
			why = fmt.Sprintf("key %q is used twice", m.key)
		}
	}
	return all, why
}

func wrongMetadata(value []byte) string {
	if string(value) == "null" {
		return ""
	}
	texts, why := members(value)
	for _, m := range texts {
		if m.value[0] != '"' || len(m.key) > 65535 {
			return "a metadata key is wrong"
		}
	}
	return why
}

func wrongTensor(value []byte, start int64) (extent [2]int64, why string) {
	fields, twice := members(value)
	if fields == nil && twice != "" {
		return extent, twice
	}
	known := map[string]json.RawMessage{}
	for _, m := range fields {
		switch {
		case m.key != "dtype" && m.key != "shape" && m.key != "data_offsets":
			if len(m.key) > 65535 || depth(m.value) > 8 {
				return extent, "an ignored field is beyond the limits"
			}
		case known[m.key] != nil:
			return extent, twice
		default:
			known[m.key] = m.value
		}
	}
	var dtype string
	v := known["dtype"]
	if len(v) == 0 || v[0] != '"' || json.Unmarshal(v, &dtype) != nil || dtype == "" || len(dtype) > 64 {
		return extent, "dtype is wrong"
	}
	shape, ok := integers(known["shape"])
	if !ok || len(shape) > 64 {
		return extent, "shape is wrong"
	}
	offsets, ok := integers(known["data_offsets"])
	if !ok || len(offsets) != 2 || offsets[0].Cmp(offsets[1]) > 0 ||
		offsets[1].Cmp(big.NewInt(math.MaxInt64-start)) > 0 {
		return extent, "data_offsets are wrong"
	}
	extent = [2]int64{offsets[0].Int64(), offsets[1].Int64()}
	return extent, wrongSize(dtype, shape, big.NewInt(extent[1]-extent[0]))
}

func wrongSize(dtype string, shape []*big.Int, bytes *big.Int) string {
	elements := big.NewInt(1)
	for _, dim := range shape {
		elements.Mul(elements, dim)
	}
	width, known := sizes[dtype]
	switch {
	case !elements.IsInt64():
		return "the shape is too large"
	case known && new(big.Int).Mul(elements, big.NewInt(width)).Cmp(new(big.Int).Lsh(bytes, 3)) != 0:
		return "the size does not follow from type and shape"
	case !known && (elements.Sign() == 0) != (bytes.Sign() == 0):
		return "the size cannot be that of the elements"
	}
	return ""
}

var integer = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)

// integers decodes a list of integers of 64 bits.
func integers(list []byte) (all []*big.Int, ok bool) {
	var items []json.RawMessage
	if len(list) == 0 || list[0] != '[' || json.Unmarshal(list, &items) != nil {
		return nil, false
	}
	for _, item := range items {
		n, _ := new(big.Int).SetString(string(item), 10)
		if !integer.Match(item) || !n.IsUint64() {
			return nil, false
		}
		all = append(all, n)
	}
	return all, true
}

// depth returns how deep lists and objects are nested.
func depth(value []byte) int {
	d := json.NewDecoder(bytes.NewReader(value))
	now, most := 0, 0
	for {
		token, err := d.Token()
		if err != nil {
			return most
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			now++
			most = max(most, now)
		case json.Delim('}'), json.Delim(']'):
			now--
		}
	}
}

func wrongExtents(extents [][2]int64, size int64) string {
	slices.SortFunc(extents, func(a, b [2]int64) int { return slices.Compare(a[:], b[:]) })
	end := int64(0)
	for _, e := range extents {
		if e[0] != end {
			return "there is a hole or an overlap"
		}
		end = e[1]
	}
	if end != size {
		return "the file is longer or shorter than its tensors"
	}
	return ""
}
