package tdstest

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"time"
	"unicode/utf16"
)

// GUID is a uniqueidentifier with its bytes in the order of the text. It converts to the driver's
// type.
type GUID [16]byte

func (g GUID) String() string {
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", g[:4], g[4:6], g[6:8], g[8:10], g[10:]))
}

// bytes returns the bytes in the order of the protocol: the first three groups are little-endian.
func (g GUID) bytes() []byte {
	raw := append([]byte{}, g[:]...)
	binary.LittleEndian.PutUint32(raw, binary.BigEndian.Uint32(g[:]))
	binary.LittleEndian.PutUint16(raw[4:], binary.BigEndian.Uint16(g[4:]))
	binary.LittleEndian.PutUint16(raw[6:], binary.BigEndian.Uint16(g[6:]))
	return raw
}

func decodeGUID(raw []byte) (any, error) {
	if len(raw) != len(GUID{}) {
		return nil, errProtocol
	}
	return GUID(GUID(raw).bytes()), nil // bytes is its own inverse
}

// fit converts a value of a handler to the Go type that is encoded as t, or returns an error if it
// does not fit. The value may be of any integer or string type, an array of bytes, or a pointer.
func (t Type) fit(value any) (any, error) {
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		return t.fit(v.Elem().Interface())
	}
	if !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice) && v.IsNil() {
		return nil, nil
	}
	fitted, ok := t.convert(v)
	if !ok {
		return nil, fmt.Errorf("a %T cannot be %s", value, t)
	}
	return fitted, t.check(fitted)
}

func (t Type) convert(v reflect.Value) (any, bool) {
	if at, ok := v.Interface().(time.Time); ok {
		return at, t.scaled() || strings.HasPrefix(t.Name, "date")
	}
	switch t.Name {
	case "bit":
		return v.Kind() == reflect.Bool && v.Bool(), v.Kind() == reflect.Bool
	case "tinyint", "smallint", "int", "bigint":
		return toInt(v)
	case "real", "float":
		if v.CanFloat() {
			return v.Float(), true
		}
		n, ok := toInt(v)
		return float64(n), ok
	case "decimal", "numeric":
		if n, ok := toInt(v); ok {
			return fmt.Sprint(n), true
		}
		return v.String(), v.Kind() == reflect.String
	case "uniqueidentifier":
		return toGUID(v)
	case "binary", "varbinary":
		return toBytes(v)
	}
	return v.String(), t.sized() && v.Kind() == reflect.String
}

func toInt(v reflect.Value) (int64, bool) {
	switch {
	case v.CanInt():
		return v.Int(), true
	case v.CanUint():
		return int64(v.Uint()), v.Uint() <= math.MaxInt64
	}
	return 0, false
}

func toBytes(v reflect.Value) ([]byte, bool) {
	if k := v.Kind(); k != reflect.Slice && k != reflect.Array || v.Type().Elem().Kind() != reflect.Uint8 {
		return nil, false
	}
	data := make([]byte, v.Len())
	reflect.Copy(reflect.ValueOf(data), v)
	return data, true
}

func toGUID(v reflect.Value) (GUID, bool) {
	if v.Kind() == reflect.String {
		data, err := hex.DecodeString(strings.ReplaceAll(v.String(), "-", ""))
		return GUID(append(data, make([]byte, 16)...)), err == nil && len(data) == 16
	}
	data, ok := toBytes(v)
	return GUID(append(data, make([]byte, 16)...)), ok && len(data) == 16
}

// check refuses values that are too long or too large. A binary(n) may be shorter.
func (t Type) check(value any) error {
	size, limit := 0, t.Length
	switch v := value.(type) {
	case int64:
		return t.checkInt(v)
	case string:
		if t.Name == "decimal" || t.Name == "numeric" {
			return checkDecimal(v, t.Scale)
		}
		size = len(utf16.Encode([]rune(v)))
	case []byte:
		size = len(v)
	}
	if t.sized() && limit != Max && size > limit {
		return fmt.Errorf("a length of %d is too large for %s", size, t)
	}
	return nil
}

func (t Type) checkInt(v int64) error {
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	switch t.Name {
	case "tinyint":
		low, high = 0, math.MaxUint8
	case "smallint":
		low, high = math.MinInt16, math.MaxInt16
	case "int":
		low, high = math.MinInt32, math.MaxInt32
	}
	if v < low || v > high {
		return fmt.Errorf("%d is out of the range of %s", v, t)
	}
	return nil
}

// unscaled returns the digits of a decimal as an integer.
func unscaled(text string, scale int) (*big.Int, bool) {
	value, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, false
	}
	value.Mul(value, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
	return value.Num(), value.IsInt() && value.Num().BitLen() <= 128
}

func checkDecimal(text string, scale int) error {
	if _, ok := unscaled(text, scale); !ok {
		return errors.New(text + " is not a decimal of that scale")
	}
	return nil
}

// encodeDecimal writes a sign, 1 for not negative, and 16 bytes, lowest first.
func encodeDecimal(text string, scale int) []byte {
	value, _ := unscaled(text, scale)
	raw := make([]byte, 17)
	if value.Sign() >= 0 {
		raw[0] = 1
	}
	digits := new(big.Int).Abs(value).Bytes()
	for i, digit := range digits {
		raw[len(digits)-i] = digit
	}
	return raw
}

func decodeDecimal(raw []byte, scale int) string {
	digits := make([]byte, len(raw)-1)
	for i := range digits {
		digits[i] = raw[len(raw)-1-i]
	}
	text := new(big.Int).SetBytes(digits).String()
	if scale > 0 {
		text = strings.Repeat("0", max(0, scale+1-len(text))) + text
		text = text[:len(text)-scale] + "." + text[len(text)-scale:]
	}
	if raw[0] == 0 {
		text = "-" + text
	}
	return text
}
