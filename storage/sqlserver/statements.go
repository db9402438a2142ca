package sqlserver

import "github.com/hartonomous/ingest/storage/sqlcatalog"

// nextAtoms reads our atoms of each kind, in order, from the index on SourceType and AtomId.
const nextAtoms = `SELECT COALESCE(MAX(n.AtomId), 0) FROM (SELECT TOP (@p2) u.AtomId FROM (
		SELECT x.AtomId FROM (SELECT TOP (@p2) AtomId FROM dbo.Atoms
			WHERE SourceType = N'ingest_segment' AND AtomId > @p1 ORDER BY AtomId) AS x
		UNION ALL SELECT x.AtomId FROM (SELECT TOP (@p2) AtomId FROM dbo.Atoms
			WHERE SourceType = N'model_file' AND AtomId > @p1 ORDER BY AtomId) AS x
		UNION ALL SELECT x.AtomId FROM (SELECT TOP (@p2) AtomId FROM dbo.Atoms
			WHERE SourceType = N'ollama_blob' AND AtomId > @p1 ORDER BY AtomId) AS x) AS u
	ORDER BY u.AtomId) AS n`

// own are the statements that differ from SQLite's.
var own = map[string]string{
	"fence": `UPDATE dbo.IngestionJobs SET LeaseToken = LeaseToken
		WHERE IngestionJobId = @p1 AND LeaseToken = @p2 AND LeaseExpires IS NOT NULL`,

	// A row has its payload and its address at once.
	"keep-address-tensor": "", "keep-address-file": "", "drop-copy-tensor": "", "drop-copy-file": "",
	"place-shared-copies-tensor": "", "place-shared-copies-file": "",

	// An application lock: locks on rows do not keep others from inserting rows.
	"lock-jobs": `DECLARE @got int;
		EXEC @got = sp_getapplock @Resource = N'ingest:jobs', @LockMode = N'Exclusive', @LockOwner = N'Transaction',
			@LockTimeout = 30000;
		IF @got = -1 THROW 51002, N'another process has been opening a job for half a minute', 1;
		IF @got < 0 THROW 51003, N'the lock of jobs failed: a deadlock, or the request was cancelled', 1;`,
	"requested-source": sqlcatalog.LeasedColumns +
		` INNER JOIN dbo.IngestionJobKeys AS k ON k.IngestionJobId = j.IngestionJobId WHERE k.KeyHash = @p1`,
	"start-job-key": `INSERT INTO dbo.IngestionJobKeys (KeyHash, IngestionJobId) VALUES (@p1, @p2)`,
	"close-job-key": `DELETE FROM dbo.IngestionJobKeys WHERE IngestionJobId = @p1`,

	// UPDLOCK and HOLDLOCK lock the key's range until the commit, even if the key does not exist.
	// An engine without them refuses the second one's key, and the verb is retried. The hints on
	// Models make the join read the current job: under snapshots, it would read the state from
	// before the wait.
	"unfinished": `SELECT m.ModelId, m.IngestionJobId FROM dbo.ModelKeys AS k WITH (UPDLOCK, HOLDLOCK)
		INNER JOIN dbo.Models AS m WITH (UPDLOCK, ROWLOCK) ON m.ModelId = k.ModelId
		WHERE k.State = N'open' AND k.KeyHash = @p1`,
	"open-key": `INSERT INTO dbo.ModelKeys (State, KeyHash, ModelId) VALUES (N'open', @p1, @p2)`,
	"twin": `SELECT ModelId FROM dbo.ModelKeys WITH (UPDLOCK, HOLDLOCK)
		WHERE State = N'complete' AND KeyHash = @p1`,
	"drop-keys":    `DELETE FROM dbo.ModelKeys WHERE ModelId = @p1`,
	"complete-key": `INSERT INTO dbo.ModelKeys (State, KeyHash, ModelId) VALUES (N'complete', @p1, @p2)`,

	"next-atoms": nextAtoms, "next-listed": nextAtoms,
	// SUM(ReferenceCount), so that the rows are read and locked: the index on SourceType and AtomId
	// covers the other columns, and a writer of ReferenceCount does not lock its keys.
	"lock-atoms": `SELECT COUNT_BIG(*), SUM(ReferenceCount) FROM dbo.Atoms WITH (UPDLOCK, ROWLOCK)
		WHERE AtomId > @p1 AND AtomId <= @p2 AND Modality = N'model'
			AND SourceType IN (N'ingest_segment', N'model_file', N'ollama_blob') AND ByteSize IS NOT NULL`,

	"release-tensors": release(sqlcatalog.TensorReferences),
	"release-files":   release(sqlcatalog.FileReferences),

	// Babelfish does not know this right.
	"sees-all-keys": `SELECT CASE WHEN CONVERT(int, SERVERPROPERTY('Babelfish')) = 1
		OR HAS_PERMS_BY_NAME(DB_NAME(), N'DATABASE', N'VIEW DEFINITION') = 1 THEN 1 ELSE 0 END`,
	// A login sees the keys of tables on which it has any right, such as VIEW DEFINITION, which the
	// role has on the tables of dbo.
	"foreign-keys": `SELECT SCHEMA_NAME(o.schema_id), o.name, k.constraint_column_id - 1, c.name,
			CONVERT(int, c.is_nullable), SCHEMA_NAME(p.schema_id), p.name, r.name, f.delete_referential_action_desc
		FROM sys.foreign_keys AS f
		INNER JOIN sys.foreign_key_columns AS k ON k.constraint_object_id = f.object_id
		INNER JOIN sys.objects AS o ON o.object_id = f.parent_object_id
		INNER JOIN sys.objects AS p ON p.object_id = f.referenced_object_id
		INNER JOIN sys.columns AS c ON c.object_id = k.parent_object_id AND c.column_id = k.parent_column_id
		INNER JOIN sys.columns AS r ON r.object_id = k.referenced_object_id AND r.column_id = k.referenced_column_id
		ORDER BY f.object_id, k.constraint_column_id`,
}

// release subtracts the references of at most a thousand rows that are about to be deleted. LOOP
// JOIN and FORCESEEK: another plan could scan all atoms and lock the whole table.
func release(references string) string {
	return `UPDATE a SET ReferenceCount = a.ReferenceCount - n.Pieces
		FROM (` + references + `) AS n INNER LOOP JOIN dbo.Atoms AS a WITH (FORCESEEK, ROWLOCK) ON a.AtomId = n.AtomId`
}

// Findings implements sqlcatalog.Dialect. It checks the tables of keys.
func (c *engine) Findings() []sqlcatalog.Finding {
	return []sqlcatalog.Finding{
		sqlcatalog.NewFinding("keys", "model whose key does not match its state", `SELECT m.ModelId AS Id
		FROM dbo.Models AS m LEFT JOIN dbo.ModelKeys AS k ON k.ModelId = m.ModelId
		WHERE m.State = N'open' AND COALESCE(k.State, N'') <> N'open'
			OR m.State = N'complete' AND k.State = N'open' OR m.State = N'removing' AND k.State IS NOT NULL`),
		sqlcatalog.NewFinding("job-keys", "open job without a key, or closed job with one", `SELECT
			j.IngestionJobId AS Id FROM dbo.IngestionJobs AS j
		LEFT JOIN dbo.IngestionJobKeys AS k ON k.IngestionJobId = j.IngestionJobId
		WHERE j.LeaseToken IS NOT NULL
			AND CASE WHEN j.Status = N'open' THEN 1 ELSE 0 END <> CASE WHEN k.KeyHash IS NULL THEN 0 ELSE 1 END`),
	}
}
