package gguf

import (
	"math/bits"

	"github.com/hartonomous/ingest/ingest/format/header"
)

const (
	keptText    = 4 << 10 // bytes kept of a string
	keptItem    = 256     // bytes kept of a string in an array
	keptItems   = 8       // items kept of an array
	keyBytes    = 256     // memory of a KV, doubled for the growth of the slice
	itemBytes   = 80      // memory of a Value
	alignmentID = "general.alignment"
)

// KV is a key-value pair of the metadata.
type KV struct {
	Key   string // may contain any bytes
	Value Value

	at int64 // offset of the pair
}

func (r *reader) metadata(f *File, count uint64) error {
	r.kind, r.count = "key", count
	for r.index = range count {
		if err := r.pair(f); err != nil {
			return err
		}
	}
	first, again, found := header.Duplicate(len(f.Metadata), func(i int) string { return f.Metadata[i].Key })
	if found {
		r.name = f.Metadata[again].Key
		return r.fail(f.Metadata[again].at, "used twice, first at offset %d", f.Metadata[first].at)
	}
	r.kind, r.name = "", ""
	return nil
}

func (r *reader) pair(f *File) error {
	r.name = ""
	kv := KV{at: r.pos}
	n, err := r.stringLength("name", maxKey)
	if err != nil {
		return err
	}
	if n == 0 {
		return r.fail(kv.at, "the name is empty")
	}
	if err := r.charge(keyBytes); err != nil {
		return err
	}
	if kv.Key, err = r.text(n, maxKey, "the name"); err != nil {
		return err
	}
	r.name = kv.Key
	atType := r.pos
	typ, err := r.valueType("the type of the value")
	if err != nil {
		return err
	}
	if kv.Value, err = r.value(typ, keptText, 0); err != nil {
		return err
	}
	if kv.Key == alignmentID {
		if err := r.alignment(f, kv.Value, atType); err != nil {
			return err
		}
	}
	f.Metadata = append(f.Metadata, kv)
	return nil
}

// alignment sets the alignment from its key.
func (r *reader) alignment(f *File, v Value, atType int64) error {
	n := v.bits
	switch {
	case v.Type != ValueUint32:
		return r.fail(atType, "must be of type %s, not %s", ValueUint32, v.Type)
	case bits.OnesCount64(n) != 1:
		return r.fail(v.Offset, "%d is not a power of two", n)
	case n > maxAlignment:
		return r.fail(v.Offset, "%d bytes, want at most %d", n, maxAlignment)
	}
	f.Alignment = int64(n)
	return nil
}

// valueType reads the type of a value or of the items of an array.
func (r *reader) valueType(what string) (ValueType, error) {
	at := r.pos
	n, err := r.uint32(what)
	if err != nil {
		return 0, err
	}
	if t := ValueType(n); t.known() {
		return t, nil
	}
	return 0, r.fail(at, "%s is %d, which is unknown", what, n)
}

// value reads a value. depth is the number of arrays that contain it. It keeps at most limit bytes
// of a string.
func (r *reader) value(t ValueType, limit, depth int) (Value, error) {
	switch t {
	case ValueString:
		return r.string(limit)
	case ValueArray:
		return r.array(depth + 1)
	}
	return r.scalar(t)
}

// scalar reads a number or a bool.
func (r *reader) scalar(t ValueType) (Value, error) {
	v := Value{Type: t, Offset: r.pos}
	b, err := r.next(int(t.size()), "the value")
	if err != nil {
		return Value{}, err
	}
	switch len(b) {
	case 1:
		v.bits = uint64(b[0])
	case 2:
		v.bits = uint64(r.order.Uint16(b))
	case 4:
		v.bits = uint64(r.order.Uint32(b))
	case 8:
		v.bits = r.order.Uint64(b)
	}
	if t == ValueBool && v.bits > 1 {
		return Value{}, r.notBool(v.Offset, b[0])
	}
	return v, nil
}

// string reads a string and keeps at most limit bytes.
func (r *reader) string(limit int) (Value, error) {
	n, err := r.stringLength("string", maxString)
	if err != nil {
		return Value{}, err
	}
	v := Value{Type: ValueString, Length: uint64(n), Offset: r.pos}
	v.text, err = r.text(n, limit, "the string")
	if v.Truncated() {
		v.text = header.WholeRunes(v.text)
	}
	return v, err
}

// array reads an array. depth counts the arrays that contain it, and itself. Only the outermost
// array keeps its first items.
func (r *reader) array(depth int) (Value, error) {
	v := Value{Type: ValueArray}
	if depth > maxNesting {
		return Value{}, r.fail(r.pos, "arrays nested more than %d deep", maxNesting)
	}
	var err error
	if v.Elem, err = r.valueType("the type of the items"); err != nil {
		return Value{}, err
	}
	at := r.pos
	if v.Length, err = r.length("the length of the array"); err != nil {
		return Value{}, err
	}
	v.Offset = r.pos
	least := int64(v.Elem.minBytes(r.width))
	if v.Length > maxItems {
		return Value{}, r.fail(at, "array of %d items, want at most %d", v.Length, maxItems)
	}
	if bytes := int64(v.Length) * least; bytes > r.left() {
		return Value{}, r.short(at, "array of %d items takes at least %d bytes, but %d are left in the file",
			v.Length, bytes, r.left())
	}
	return v, r.items(&v, depth)
}

// items reads the first items of an array and skips the others.
func (r *reader) items(v *Value, depth int) error {
	rest := int64(v.Length)
	if kept := min(rest, keptItems); depth == 1 && kept > 0 {
		if err := r.charge(kept * itemBytes); err != nil {
			return err
		}
		v.First = make([]Value, 0, kept)
		for ; len(v.First) < cap(v.First); rest-- {
			item, err := r.value(v.Elem, keptItem, depth)
			if err != nil {
				return err
			}
			v.First = append(v.First, item)
		}
	}
	if v.Elem == ValueBool {
		return r.skipBools(rest)
	}
	if size := v.Elem.size(); size > 0 {
		r.skip(rest * size)
		return nil
	}
	for ; rest > 0; rest-- {
		if err := r.skipItem(v.Elem, depth); err != nil {
			return err
		}
	}
	return nil
}

// skipBools reads and checks n bools.
func (r *reader) skipBools(n int64) error {
	for n > 0 {
		at := r.pos
		b, err := r.next(int(min(n, windowSize)), "the value")
		if err != nil {
			return err
		}
		for i, c := range b {
			if c > 1 {
				return r.notBool(at+int64(i), c)
			}
		}
		n -= int64(len(b))
	}
	return nil
}

func (r *reader) notBool(at int64, value byte) error {
	return r.fail(at, "a bool is %d, neither 0 nor 1", value)
}

// skipItem reads and checks a string or an array without keeping it.
func (r *reader) skipItem(t ValueType, depth int) error {
	if t == ValueString {
		n, err := r.stringLength("string", maxString)
		r.skip(n)
		return err
	}
	_, err := r.array(depth + 1)
	return err
}
