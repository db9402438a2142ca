package sqlserver

import (
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/schema"
)

func TestTextRoundTrip(t *testing.T) {
	cols := columns{"T.Short": {units: 4}, "T.Max": {units: -1}, "T.JSON": {json: true, units: -1}}
	for name, c := range map[string]struct {
		column, text, fitting string
		exact                 bool
	}{
		"fits":                {"T.Short", "abcd", "abcd", false},
		"empty":               {"T.Short", "", "", false},
		"too long":            {"T.Short", "abcde", "abcd", true},
		"two units each":      {"T.Short", "😀😀😀", "😀😀", true},
		"no half characters":  {"T.Short", "abc😀", "abc", true},
		"bytes are not units": {"T.Short", "ääää", "ääää", false},
		"not UTF-8":           {"T.Max", "a\xff", "a\uFFFD", true},
		"NUL":                 {"T.Max", "a\x00b", "a\uFFFDb", true},
		"a surrogate's bytes": {"T.Max", "\xed\xa0\x80", "\uFFFD", true},
		"long":                {"T.Max", strings.Repeat("x", 9000), strings.Repeat("x", 9000), false},
		"the type json":       {"T.JSON", `{"b": 1,"a":2}`, `{"b": 1,"a":2}`, true},
		"an unknown column":   {"T.Else", "abcdefgh", "abcdefgh", false},
	} {
		t.Run(name, func(t *testing.T) {
			fitting, bytes := cols.fit(c.column, c.text)
			if fitting != c.fitting || (bytes != nil) != c.exact {
				t.Errorf("fits as %q, exact %q", fitting, bytes)
			}
			if got := (&exact{sql.NullString{String: fitting, Valid: true}, bytes}).String(); got != c.text {
				t.Errorf("read as %q", got)
			}
			if changed := (&exact{sql.NullString{String: "other", Valid: true}, bytes}).String(); changed != "other" {
				t.Errorf("after another program's change it is %q", changed)
			}
		})
	}
}

func TestJSONRoundTrip(t *testing.T) {
	const wrote = `{"b": 1.50, "a":"\u00e4"}`
	for name, c := range map[string]struct {
		column sql.NullString
		exact  string
		want   string
	}{
		"no Exact value":           {sql.NullString{String: wrote, Valid: true}, "", wrote},
		"in another form":          {sql.NullString{String: `{"a":"ä","b":1.5}`, Valid: true}, wrote, wrote},
		"the same":                 {sql.NullString{String: wrote, Valid: true}, wrote, wrote},
		"beyond the type's limits": {sql.NullString{}, wrote, wrote},
		"a NUL": {sql.NullString{String: "{\"a\":\"\uFFFD\"}", Valid: true},
			"{\"a\":\"\x00\"}", "{\"a\":\"\x00\"}"},
		"changed by another program": {sql.NullString{String: `{"a":"ä","b":2}`, Valid: true}, wrote,
			`{"a":"ä","b":2}`},
		"emptied by another program": {sql.NullString{String: `{}`, Valid: true}, wrote, `{}`},
		"no longer JSON":             {sql.NullString{String: `gone`, Valid: true}, wrote, `gone`},
		"a prefix of what we wrote":  {sql.NullString{String: wrote[:9], Valid: true}, wrote, wrote[:9]},
	} {
		t.Run(name, func(t *testing.T) {
			e := exact{text: c.column}
			if c.exact != "" {
				e.bytes = []byte(c.exact)
			}
			if got := string(e.json()); got != c.want {
				t.Errorf("read as %q, want %q", got, c.want)
			}
		})
	}
}

func TestAddressRoundTrip(t *testing.T) {
	c := &engine{server: schema.Server{Product: "SQL Server"},
		columns: columns{"LayerTensorSegments.BlobUri": {units: 10},
			"LayerTensorSegments.BlobName": {units: 10}, "FileSegments.BlobETag": {units: 10}}}
	at := time.Date(2026, 5, 4, 3, 2, 1, 123456700, time.UTC)
	for name, a := range map[string]ingest.Address{
		"empty":      {},
		"short":      {URI: "dir:x", Container: "c", Name: "n", ETag: "e", Bytes: 5, Modified: at},
		"long":       {URI: "https://x/" + strings.Repeat("y", 3000), Bytes: 5},
		"long ETag":  {URI: "dir:x", ETag: strings.Repeat("y", 11)},
		"hostile":    {URI: "a\x00\xff", Name: "\xff", Bytes: 1},
		"nanosecond": {URI: "dir:x", Modified: at.Add(time.Nanosecond)},
		"encoded":    {URI: "dir:x", Bytes: 5, Encoding: ingest.Encoding{Codec: "planes", Stored: ingest.Sum(nil)}},
	} {
		t.Run(name, func(t *testing.T) {
			row := c.addressColumns(a)
			if whole := slices.Contains([]string{"empty", "short", "encoded"}, name); whole != (row.exact == nil) {
				t.Errorf("exact is %v", row.exact)
			}
			s := scannedAddress{uri: read(row.uri), container: read(row.container), name: read(row.name),
				etag: read(row.etag), bytes: row.bytes, codec: read(row.codec)}
			s.stored, _ = row.stored.([]byte)
			s.exact, _ = row.exact.([]byte)
			if modified, ok := row.modified.(time.Time); ok {
				s.modified = sql.NullTime{Time: modified.Truncate(100 * time.Nanosecond), Valid: true}
			}
			if got := s.address(); got != a {
				t.Errorf("read as %+v, want %+v", got, a)
			}
			s.etag = sql.NullString{String: "other", Valid: true}
			if got := s.address().ETag; got != "other" {
				t.Errorf("after another program's change the ETag is %q", got)
			}
		})
	}
}

// read returns a text or NULL as the driver scans it.
func read(value any) sql.NullString {
	text, known := value.(string)
	return sql.NullString{String: text, Valid: known}
}
