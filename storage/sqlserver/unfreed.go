package sqlserver

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/schema"
	"github.com/hartonomous/ingest/storage/sqlcatalog"
)

// Unfreed implements ingest.Migration. It runs one pass of the FILESTREAM garbage collector. This is
// safe: the server runs it by itself, too, and it deletes only files that neither the database nor
// the log needs.
func (c *Catalog) Unfreed(ctx context.Context) (u ingest.Unfreed) {
	e := c.engine
	if e.server.Product == "Babelfish" {
		return ingest.Unfreed{Why: "PostgreSQL reuses the space after its next VACUUM, and does not shrink its files"}
	}
	var why []string
	if len(e.plain) < len(payloadTables) {
		why = append(why, "the file of a cleared FILESTREAM value stays until a checkpoint, a log backup (in the full "+
			"and bulk-logged recovery models) and two passes of the garbage collector; an empty file stays")
		name := schema.Quote(e.server.Database)
		pass := "EXEC sp_filestream_force_garbage_collection @dbname = N'" +
			strings.ReplaceAll(e.server.Database, "'", "''") + "';"
		u.Do = append(u.Do, "USE "+name+";", "CHECKPOINT;",
			"BACKUP LOG "+name+" TO ...;  -- your next log backup; not in the simple recovery model",
			pass, pass+"  -- again until num_unprocessed_items is 0")
		u.Collected, u.Refused = e.collect(ctx)
	}
	if len(e.plain) > 0 {
		why = append(why, "cleared varbinary(max) values leave partly empty pages in "+strings.Join(e.plain, " and ")+
			", and the database files do not shrink")
	}
	for _, table := range e.plain {
		u.Do = append(u.Do, "ALTER INDEX ALL ON dbo."+table+" REORGANIZE WITH (LOB_COMPACTION = ON);")
	}
	u.Why = strings.Join(why, "; ")
	return u
}

// collectTime limits a pass. The server continues in the background.
const collectTime = time.Minute

// collect runs the FILESTREAM garbage collector once. The login must be in db_owner.
func (c *engine) collect(ctx context.Context) (all []ingest.Collected, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, collectTime, fmt.Errorf("it did not end within %s", collectTime))
	defer cancel()
	err = c.on(ctx, c.patient, func(t *sqlcatalog.Tx) error {
		rows, err := t.Conn.QueryContext(t.Context, `/* ingest: collect */ EXEC sp_filestream_force_garbage_collection
			@dbname = @database`, sql.Named("database", c.server.Database))
		if err != nil {
			return t.Doubt(err)
		}
		defer rows.Close() // its error is in rows.Err
		for rows.Next() {
			var one ingest.Collected
			var upTo any // a log sequence number
			if err := rows.Scan(&one.Container, &one.Deleted, &one.Marked, &one.Unprocessed, &upTo); err != nil {
				return t.Doubt(err)
			}
			all = append(all, one)
		}
		return t.Doubt(rows.Err())
	})
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return all, err
}
