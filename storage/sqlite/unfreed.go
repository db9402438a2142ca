package sqlite

import (
	"context"

	"github.com/hartonomous/ingest/ingest"
)

// Unfreed implements ingest.Migration.
func (c *Catalog) Unfreed(context.Context) ingest.Unfreed {
	return ingest.Unfreed{Why: "the database file does not shrink; SQLite reuses the space for new rows",
		Do: []string{"VACUUM;  -- shrinks the file; needs up to twice its size of free disk space"}}
}
