package sqlite

import "github.com/hartonomous/ingest/storage/sqlcatalog"

// own are the statements that SQL Server has others for. Several are empty: a transaction that writes is the only one that
// does, so that it need not lock anything; and the keys of models and jobs are columns of theirs with unique indexes.
var own = map[string]string{
	"fence": "", "lock-jobs": "", "lock-atoms": "", "start-job-key": "", "close-job-key": "", "drop-keys": "",
	"hash-payload-tensor": "", "hash-payload-file": "",

	"unfinished":   `SELECT ModelId, IngestionJobId FROM Models WHERE SourceKey = @p1 AND State = 'open'`,
	"open-key":     `UPDATE Models SET SourceKey = @p1 WHERE ModelId = @p2`,
	"twin":         `SELECT ModelId FROM Models WHERE ContentKey = @p1 AND State = 'complete'`,
	"complete-key": `UPDATE Models SET ContentKey = @p1 WHERE ModelId = @p2`,

	// Open jobs are few, and an index holds them alone.
	"requested-source": sqlcatalog.LeasedColumns + ` WHERE j.Status = 'open' AND key_of(j.PipelineName, j.SourceUri) = @p1`,

	// Of the atoms, nearly all are ours: they are read in their order.
	"next-atoms": `SELECT coalesce(max(AtomId), 0) FROM (SELECT AtomId FROM Atoms WHERE AtomId > @p1 ORDER BY AtomId LIMIT @p2)`,

	"release-tensors": `UPDATE Atoms SET ReferenceCount = ReferenceCount - n.Pieces FROM (` + sqlcatalog.TensorReferences + `) AS n WHERE Atoms.AtomId = n.AtomId`,
	"release-files":   `UPDATE Atoms SET ReferenceCount = ReferenceCount - n.Pieces FROM (` + sqlcatalog.FileReferences + `) AS n WHERE Atoms.AtomId = n.AtomId`,

	// A key that names no column refers to the primary key.
	"foreign-keys": `SELECT '', t.name, k."from", k."table", coalesce(k."to", 'rowid'), k.on_delete
		FROM sqlite_schema AS t JOIN pragma_foreign_key_list(t.name) AS k WHERE t.type = 'table' AND k.seq = 0
		AND NOT EXISTS (SELECT 1 FROM pragma_foreign_key_list(t.name) AS other WHERE other.id = k.id AND other.seq > 0)`,
}

// more is what Audit looks for besides: what SQLite itself finds.
var more = []sqlcatalog.Finding{
	sqlcatalog.NewFinding("foreign-keys", "row whose foreign key points nowhere", `SELECT rowid AS Id FROM pragma_foreign_key_check`),
	sqlcatalog.NewFinding("damage", "damage found by SQLite", `SELECT rowid AS Id FROM pragma_quick_check WHERE quick_check <> 'ok'`),
}
