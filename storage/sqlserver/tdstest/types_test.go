package tdstest_test

import (
	"bytes"
	"database/sql"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-sql/civil"
	mssql "github.com/microsoft/go-mssqldb"

	"github.com/hartonomous/ingest/storage/sqlserver/tdstest"
)

var moment = time.Date(2026, 11, 5, 13, 59, 58, 123456700, time.UTC)

// TestParameters sends each type that the driver can send.
func TestParameters(t *testing.T) {
	srv, db := start(t)
	var got tdstest.Param
	srv.Handle("^/\\* take \\*/", func(req *tdstest.Request) (tdstest.Result, error) {
		got = req.Params[0]
		return tdstest.Affected(1), nil
	})
	guid := mssql.UniqueIdentifier{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	east := time.FixedZone("", 5*3600+1800)
	big := bytes.Repeat([]byte{0, 1, 2, 250}, 3<<18)
	for _, test := range []struct {
		name string
		send any
		as   string
		want any
	}{
		{"bit", true, "bit", true},
		{"bit off", false, "bit", false},
		{"tinyint", byte(255), "tinyint", int64(255)},
		{"smallint", int16(-2), "smallint", int64(-2)},
		{"int", int32(math.MinInt32), "int", int64(math.MinInt32)},
		{"bigint", int64(math.MinInt64), "bigint", int64(math.MinInt64)},
		{"float", math.Pi, "float", math.Pi},
		{"real", float32(1.5), "real", 1.5},
		{"nvarchar", "grüße 🌍", "nvarchar(8)", "grüße 🌍"},
		{"nvarchar empty", "", "nvarchar(max)", ""},
		{"nvarchar 4000", strings.Repeat("x", 4000), "nvarchar(4000)", strings.Repeat("x", 4000)},
		{"nvarchar max", strings.Repeat("ü", 4001), "nvarchar(max)", strings.Repeat("ü", 4001)},
		{"nchar", mssql.NChar("abc"), "nchar(3)", "abc"},
		{"varchar", mssql.VarChar("abc"), "varchar(3)", "abc"},
		{"varchar max", mssql.VarCharMax("abc"), "varchar(max)", "abc"},
		{"varbinary", []byte{0, 255}, "varbinary(2)", []byte{0, 255}},
		{"varbinary empty", []byte{}, "varbinary(max)", []byte{}},
		{"varbinary 8000", big[:8000], "varbinary(8000)", big[:8000]},
		{"varbinary max", big, "varbinary(max)", big},
		{"uniqueidentifier", guid, "uniqueidentifier", tdstest.GUID(guid)},
		{"datetimeoffset", moment.In(east), "datetimeoffset(7)", moment.In(east)},
		{"datetimeoffset first", time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), "datetimeoffset(7)",
			time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"datetimeoffset last", time.Date(9999, 12, 31, 23, 59, 59, 999999900, time.UTC), "datetimeoffset(7)",
			time.Date(9999, 12, 31, 23, 59, 59, 999999900, time.UTC)},
		{"datetime2", civil.DateTimeOf(moment), "datetime2(7)", moment},
		{"datetime", mssql.DateTime1(moment.Truncate(time.Second)), "datetime", moment.Truncate(time.Second)},
		{"date", civil.DateOf(moment), "date", moment.Truncate(24 * time.Hour)},
		{"time", civil.TimeOf(moment), "time(7)", time.Date(1, 1, 1, 13, 59, 58, 123456700, time.UTC)},
		{"null", nil, "null", nil},
		{"null bytes", []byte(nil), "varbinary(max)", nil},
		{"null string", sql.NullString{}, "nvarchar(4000)", nil},
		{"null int", sql.NullInt64{}, "bigint", nil},
		{"null float", sql.NullFloat64{}, "float", nil},
		{"null bit", sql.NullBool{}, "bit", nil},
		{"null time", sql.NullTime{}, "datetimeoffset(7)", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			exec(t, db, "/* take */ declare", test.send)
			if got.Name != "p1" || got.Type.String() != test.as {
				t.Errorf("parameter %s %s, want p1 %s", got.Name, got.Type, test.as)
			}
			if !same(got.Value, test.want) {
				t.Errorf("value %#.60v, want %#.60v", got.Value, test.want)
			}
		})
	}
}

func same(a, b any) bool {
	if at, ok := a.(time.Time); ok {
		bt, ok := b.(time.Time)
		return ok && at.Equal(bt) && at.Format(time.RFC3339Nano) == bt.Format(time.RFC3339Nano)
	}
	return reflect.DeepEqual(a, b)
}

// TestResults reads each type through the driver, nullable and not null.
func TestResults(t *testing.T) {
	srv, db := start(t)
	var column string
	var value any
	srv.Handle("/* give */", func(*tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows(column, []any{value}), nil
	})
	guid := tdstest.GUID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	east := moment.In(time.FixedZone("", -3*3600))
	big := bytes.Repeat([]byte("0123456789"), 1<<20)
	for _, test := range []struct {
		column string
		give   any
		want   any
	}{
		{"bit", true, true},
		{"tinyint", 255, int64(255)},
		{"smallint", -2, int64(-2)},
		{"int", int32(math.MinInt32), int64(math.MinInt32)},
		{"bigint", int64(math.MinInt64), int64(math.MinInt64)},
		{"float", -math.Pi, -math.Pi},
		{"real", 1.5, 1.5},
		{"decimal(10, 3)", "-12.345", []byte("-12.345")},
		{"decimal(38, 0)", "99999999999999999999999999999999999999", []byte("99999999999999999999999999999999999999")},
		{"decimal(5, 5)", "0.00001", []byte("0.00001")},
		{"nvarchar(20)", "grüße 🌍", "grüße 🌍"},
		{"nvarchar(20)", "", ""},
		{"nvarchar(max)", strings.Repeat("ü", 100_000), strings.Repeat("ü", 100_000)},
		{"nvarchar(max)", "", ""},
		{"varchar(20)", "5 € für ÿ", "5 € für ÿ"},
		{"varchar(max)", "5 €", "5 €"},
		{"char(2)", "ab", "ab"},
		{"nchar(2)", "ab", "ab"},
		{"varbinary(20)", []byte{0, 255}, []byte{0, 255}},
		{"varbinary(20)", []byte{}, []byte{}},
		{"varbinary(max)", big, big},
		{"varbinary(max)", []byte{}, []byte{}},
		{"binary(32)", [32]byte{1, 31: 2}, append(append([]byte{1}, make([]byte, 30)...), 2)},
		{"uniqueidentifier", guid, guid},
		{"uniqueidentifier", guid.String(), guid},
		{"datetime2(7)", moment, moment},
		{"datetime2(3)", moment, moment.Truncate(time.Millisecond)},
		{"datetime2(0)", moment, moment.Truncate(time.Second)},
		{"datetimeoffset(7)", east, east},
		{"datetime", moment, moment.Truncate(10 * time.Millisecond).Add(3 * time.Millisecond)},
		{"date", moment, moment.Truncate(24 * time.Hour)},
		{"time(7)", moment, time.Date(1, 1, 1, 13, 59, 58, 123456700, time.UTC)},
		{"json", `{"a":1}`, `{"a":1}`},
	} {
		for _, null := range []string{" not null", ""} {
			t.Run(test.column+null, func(t *testing.T) {
				column, value = "v "+test.column+null, test.give
				checkResult(t, db, test.want)
				if null == "" {
					value = nil
					checkResult(t, db, nil)
				}
			})
		}
	}
}

func checkResult(t *testing.T, db *sql.DB, want any) {
	t.Helper()
	var got any
	must(t, db.QueryRowContext(t.Context(), "/* give */").Scan(&got))
	if guid, ok := want.(tdstest.GUID); ok {
		var id mssql.UniqueIdentifier
		must(t, id.Scan(got))
		got, want = tdstest.GUID(id), guid
	}
	if !same(got, want) {
		t.Errorf("got %#.60v, want %#.60v", got, want)
	}
}

// TestLargeValue sends 64 MiB there and back.
func TestLargeValue(t *testing.T) {
	size := 64 << 20
	if testing.Short() {
		size = 8 << 20
	}
	srv, db := start(t, "packet size", "32767")
	srv.Handle("/* echo */", func(req *tdstest.Request) (tdstest.Result, error) {
		return tdstest.Rows("v varbinary(max)", []any{req.Param("p1")}), nil
	})
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i * 7 >> 3)
	}
	var got []byte
	must(t, db.QueryRowContext(t.Context(), "/* echo */ select @p1", sent).Scan(&got))
	if !bytes.Equal(got, sent) {
		t.Error("the returned value differs from the sent one")
	}
}

// TestMisfits checks that results which do not fit their columns are refused.
func TestMisfits(t *testing.T) {
	srv, db := start(t)
	var result tdstest.Result
	srv.Handle("/* give */", func(*tdstest.Request) (tdstest.Result, error) { return result, nil })
	for name, misfit := range map[string]tdstest.Result{
		"text too long":    tdstest.Rows("v nvarchar(2)", []any{"abc"}),
		"binary too long":  tdstest.Rows("v binary(1)", []any{[]byte("ab")}),
		"number too large": tdstest.Rows("v int", []any{1 << 40}),
		"another type":     tdstest.Rows("v int", []any{"1"}),
		"null":             tdstest.Rows("v int not null", []any{nil}),
		"no guid":          tdstest.Rows("v uniqueidentifier", []any{"x"}),
		"no decimal":       tdstest.Rows("v decimal(3, 1)", []any{"1.25"}),
		"too few values":   tdstest.Rows("v int, w int", []any{1}),
	} {
		t.Run(name, func(t *testing.T) {
			result = misfit
			var got any
			wantNumber(t, db.QueryRowContext(t.Context(), "/* give */").Scan(&got), 50000)
		})
	}
}

// TestBrokenCall makes the driver send an invalid request: it adds 16 bytes to a uniqueidentifier that
// is NULL. (An untyped nil works.)
func TestBrokenCall(t *testing.T) {
	srv, db := start(t)
	srv.Handle("/* take */", func(*tdstest.Request) (tdstest.Result, error) { return tdstest.Result{}, nil })
	_, err := db.ExecContext(t.Context(), "/* take */", mssql.NullUniqueIdentifier{}, 1)
	wantNumber(t, err, 8009)
	exec(t, db, "/* take */", nil, 1)
}
