package tdstest

import (
	"fmt"
	"strconv"
	"strings"
)

// Type is a type of T-SQL.
type Type struct {
	Name      string // lower case
	Length    int    // of text in characters, of binary in bytes; Max, or 0 if the type has no length
	Precision int    // of decimal and numeric
	Scale     int    // of decimal, numeric and types with a time of day
}

// Max is the length of the types that are written with (max).
const Max = -1

// The types on the wire.
const (
	wireNull           = 0x1f
	wireTinyInt        = 0x30
	wireBit            = 0x32
	wireSmallInt       = 0x34
	wireInt            = 0x38
	wireReal           = 0x3b
	wireDateTime       = 0x3d
	wireFloat          = 0x3e
	wireBigInt         = 0x7f
	wireGUID           = 0x24
	wireIntN           = 0x26
	wireBitN           = 0x68
	wireDecimalN       = 0x6a
	wireNumericN       = 0x6c
	wireFloatN         = 0x6d
	wireDateTimeN      = 0x6f
	wireDate           = 0x28
	wireTime           = 0x29
	wireDateTime2      = 0x2a
	wireDateTimeOffset = 0x2b
	wireVarBinary      = 0xa5
	wireVarChar        = 0xa7
	wireBinary         = 0xad
	wireChar           = 0xaf
	wireNVarChar       = 0xe7
	wireNChar          = 0xef
)

// kind has the protocol's types for a type: n if NULL is possible, and fixed, if not 0, if it is not.
type kind struct {
	n, fixed byte
	size     int // in bytes, of types of one size
}

var kinds = map[string]kind{
	"bit":              {wireBitN, wireBit, 1},
	"tinyint":          {wireIntN, wireTinyInt, 1},
	"smallint":         {wireIntN, wireSmallInt, 2},
	"int":              {wireIntN, wireInt, 4},
	"bigint":           {wireIntN, wireBigInt, 8},
	"real":             {wireFloatN, wireReal, 4},
	"float":            {wireFloatN, wireFloat, 8},
	"decimal":          {n: wireDecimalN, size: 17},
	"numeric":          {n: wireNumericN, size: 17},
	"uniqueidentifier": {n: wireGUID, size: 16},
	"date":             {n: wireDate},
	"time":             {n: wireTime},
	"datetime":         {wireDateTimeN, wireDateTime, 8},
	"datetime2":        {n: wireDateTime2},
	"datetimeoffset":   {n: wireDateTimeOffset},
	"varbinary":        {n: wireVarBinary},
	"binary":           {n: wireBinary},
	"varchar":          {n: wireVarChar},
	"char":             {n: wireChar},
	"nvarchar":         {n: wireNVarChar},
	"nchar":            {n: wireNChar},
}

// aliases are types that the driver receives as another type.
var aliases = map[string]string{
	"json": "nvarchar(max)", "xml": "nvarchar(max)", "sysname": "nvarchar(128)",
	"rowversion": "binary(8)", "timestamp": "binary(8)", "integer": "int", "dec": "decimal",
}

// ParseType parses a type in the syntax of T-SQL. Missing lengths and scales have the defaults of
// column declarations.
func ParseType(text string) (Type, error) {
	name, arguments, _ := strings.Cut(strings.ToLower(strings.TrimSpace(text)), "(")
	name = strings.Trim(strings.TrimSpace(name), "[]")
	if other, ok := aliases[name]; ok {
		if arguments == "" {
			return ParseType(other)
		}
		name = other
	}
	if _, ok := kinds[name]; !ok {
		return Type{}, fmt.Errorf("unknown type %q", text)
	}
	var numbers []int
	for _, argument := range strings.Split(strings.TrimSuffix(strings.TrimSpace(arguments), ")"), ",") {
		switch argument = strings.TrimSpace(argument); argument {
		case "":
		case "max":
			numbers = append(numbers, Max)
		default:
			number, err := strconv.Atoi(argument)
			if err != nil {
				return Type{}, fmt.Errorf("type %q: %w", text, err)
			}
			numbers = append(numbers, number)
		}
	}
	return Type{Name: name}.with(numbers), nil
}

func (t Type) with(numbers []int) Type {
	at := func(i, otherwise int) int {
		if i < len(numbers) {
			return numbers[i]
		}
		return otherwise
	}
	switch {
	case t.sized():
		t.Length = at(0, 1)
	case t.Name == "decimal" || t.Name == "numeric":
		t.Precision, t.Scale = at(0, 18), at(1, 0)
	case t.scaled():
		t.Scale = at(0, 7)
	}
	return t
}

func (t Type) sized() bool {
	return strings.HasSuffix(t.Name, "char") || strings.HasSuffix(t.Name, "binary")
}

func (t Type) scaled() bool {
	return t.Name == "time" || t.Name == "datetime2" || t.Name == "datetimeoffset"
}

func (t Type) wide() bool { return strings.HasPrefix(t.Name, "n") && t.sized() }

func (t Type) String() string {
	switch {
	case t.sized() && t.Length == Max:
		return t.Name + "(max)"
	case t.sized():
		return fmt.Sprintf("%s(%d)", t.Name, t.Length)
	case t.Name == "decimal" || t.Name == "numeric":
		return fmt.Sprintf("%s(%d, %d)", t.Name, t.Precision, t.Scale)
	case t.scaled():
		return fmt.Sprintf("%s(%d)", t.Name, t.Scale)
	}
	return t.Name
}

// wire returns the protocol's form of the type.
func (t Type) wire(nullable bool) wire {
	k := kinds[t.Name]
	w := wire{id: k.n, size: k.size, precision: byte(t.Precision), scale: byte(t.Scale)}
	if !nullable && k.fixed != 0 {
		w.id = k.fixed
	}
	if t.sized() {
		w.size = t.Length
		if t.wide() {
			w.size *= 2
		}
		if t.Length == Max {
			w.size = sizeMax
		}
	}
	return w
}
