package tdstest

import (
	"reflect"
	"testing"
)

func TestColumns(t *testing.T) {
	got := Columns(`
		[Layer Id] bigint IDENTITY(1,1), -- it's the key, (1, 2)
		/* , */ Hash binary(32) NOT NULL,
		"Name" [nvarchar](100) COLLATE Latin1_General_BIN2 NULL DEFAULT N'a, b (c)',
		Price decimal(10, 2), At datetime2, Config json, Text sysname,
		CONSTRAINT PK PRIMARY KEY (Price DESC, [At])`)
	want := []Column{
		{"Layer Id", Type{Name: "bigint"}, false, true},
		{"Hash", Type{Name: "binary", Length: 32}, false, false},
		{"Name", Type{Name: "nvarchar", Length: 100}, true, true},
		{"Price", Type{Name: "decimal", Precision: 10, Scale: 2}, false, false},
		{"At", Type{Name: "datetime2", Scale: 7}, false, false},
		{"Config", Type{Name: "nvarchar", Length: Max}, true, false},
		{"Text", Type{Name: "nvarchar", Length: 128}, true, false},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for _, bad := range []string{"a", "a geometry", "a int(x)", "1"} {
		if columns, err := parseColumns(bad); err == nil {
			t.Errorf("%q read as %+v", bad, columns)
		}
	}
}

func TestTypeNames(t *testing.T) {
	for _, name := range []string{"bit", "bigint", "real", "nvarchar(max)", "nvarchar(20)", "varbinary(8000)",
		"binary(32)", "decimal(38, 5)", "datetime2(3)", "datetimeoffset(7)", "date", "uniqueidentifier"} {
		parsed, err := ParseType(name)
		if err != nil || parsed.String() != name {
			t.Errorf("%s read as %s, %v", name, parsed, err)
		}
		if back := parsed.wire(true).name().Name; back != parsed.Name {
			t.Errorf("%s travels as %s", name, back)
		}
	}
}

func TestTableKey(t *testing.T) {
	for _, name := range []string{"dbo.Atoms", "[dbo].[Atoms]", "ATOMS", "Hartonomous.dbo.[atoms]"} {
		if key := tableKey(name); key != "atoms" {
			t.Errorf("%s is %s", name, key)
		}
	}
}
