package sqlserver

import (
	"database/sql"
	"encoding/json"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// addressRow is an address as column values; nil is NULL.
type addressRow struct {
	uri, container, name, etag any
	bytes                      int64
	modified                   any
	codec, stored              any
	exact                      any
}

// exactAddress is the JSON in AddressExact. Texts are bytes, as they need not be UTF-8.
type exactAddress struct {
	URI       []byte    `json:"uri"`
	Container []byte    `json:"container,omitempty"`
	Name      []byte    `json:"name,omitempty"`
	ETag      []byte    `json:"etag,omitempty"`
	Modified  time.Time `json:"modified,omitzero"`
}

func (c *engine) addressColumns(a ingest.Address) addressRow {
	row := addressRow{bytes: a.Bytes}
	whole := true
	text := func(column, value string) any { // fits both tables
		fitting, exact := c.columns.fit("LayerTensorSegments."+column, value)
		fitting, more := c.columns.fit("FileSegments."+column, fitting)
		whole = whole && exact == nil && more == nil
		if fitting == "" {
			return nil
		}
		return fitting
	}
	row.uri, row.container = text("BlobUri", a.URI), text("BlobContainer", a.Container)
	row.name, row.etag = text("BlobName", a.Name), text("BlobETag", a.ETag)
	if !a.Modified.IsZero() {
		row.modified = a.Modified.UTC()
		whole = whole && a.Modified.Nanosecond()%int(c.resolution()) == 0
	}
	if a.Codec != "" {
		row.codec, row.stored = a.Codec, a.Stored[:]
	}
	if !whole {
		// the encoding cannot fail
		row.exact, _ = json.Marshal(exactAddress{[]byte(a.URI), []byte(a.Container), []byte(a.Name), []byte(a.ETag),
			a.Modified.UTC()})
	}
	return row
}

// resolution is that of datetime2: 100 ns, but a microsecond in Babelfish, which stores it in
// PostgreSQL.
func (c *engine) resolution() time.Duration {
	if c.server.Product == "Babelfish" {
		return time.Microsecond
	}
	return 100 * time.Nanosecond
}

// scannedAddress holds the columns of an address.
type scannedAddress struct {
	uri, container, name, etag sql.NullString
	bytes                      int64
	modified                   sql.NullTime
	codec                      sql.NullString
	stored, exact              []byte
}

func (s *scannedAddress) fields() []any {
	return []any{&s.uri, &s.container, &s.name, &s.etag, &s.bytes, &s.modified, &s.codec, &s.stored, &s.exact}
}

// address returns the address that was written. If another program has changed one of the texts
// since, the texts count, and AddressExact is ignored.
func (s *scannedAddress) address() ingest.Address {
	a := ingest.Address{URI: s.uri.String, Container: s.container.String, Name: s.name.String, ETag: s.etag.String,
		Bytes: s.bytes, Encoding: sqlcatalog.EncodingOf(s.codec.String, s.stored)}
	if s.modified.Valid {
		a.Modified = s.modified.Time.UTC()
	}
	var whole exactAddress
	if s.exact == nil || json.Unmarshal(s.exact, &whole) != nil ||
		!begins(whole.URI, a.URI) || !begins(whole.Container, a.Container) ||
		!begins(whole.Name, a.Name) || !begins(whole.ETag, a.ETag) {
		return a
	}
	a.URI, a.Container, a.Name, a.ETag = string(whole.URI), string(whole.Container), string(whole.Name),
		string(whole.ETag)
	a.Modified = whole.Modified
	return a
}
