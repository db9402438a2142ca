package main

import (
	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/migrate"
)

// refusedRow is a row that could not be migrated or changed.
type refusedRow struct {
	Event   string         `json:"event"`   // `refused`
	Model   ingest.ModelID `json:"model"`   // id of the model
	File    string         `json:"file"`    // name of the file
	Tensor  string         `json:"tensor"`  // name of the tensor; empty outside tensors
	Layer   ingest.LayerID `json:"layer"`   // `LayerId` of the tensor; 0 outside tensors
	Ordinal int            `json:"ordinal"` // of the segment within the tensor, from 0
	Offset  int64          `json:"offset"`  // of the segment in the file
	Bytes   int64          `json:"bytes"`   // of the segment
	SHA256  ingest.Digest  `json:"sha256"`  // of the segment; empty if another program recorded none
	Reason  string         `json:"reason"`  // why
}

// notFreedObject says what frees the space of cleared rows.
type notFreedObject struct {
	Event  string   `json:"event"`  // `not_freed`
	Reason string   `json:"reason"` // why the space is not free
	Do     []string `json:"do"`     // statements that free it
	// passes of the FILESTREAM garbage collector
	Collected []ingest.Collected `json:"collected"`
	// why the garbage collector did not run; empty if it did
	CollectorError string `json:"collector_error"`
}

// segmentsSummary ends `migrate segments`.
type segmentsSummary struct {
	summaryHead
	Models  int           `json:"models"`  // with payloads to migrate
	To      string        `json:"to"`      // the target
	Copied  migrate.Count `json:"copied"`  // payloads that were copied
	Cleared migrate.Count `json:"cleared"` // payloads whose source was cleared
	There   migrate.Count `json:"there"`   // payloads that were in the target only, or are small
	Small   migrate.Count `json:"small"`   // of these, small ones
	Both    migrate.Count `json:"both"`    // payloads that were in both places
	Failed  int64         `json:"failed"`  // number of objects `refused`
	DryRun  bool          `json:"dry_run"` // true if nothing was changed
}

// locatorObject is a row with a fault.
type locatorObject struct {
	Event    string        `json:"event"`    // `refused`; `notice` if the row is migrated nevertheless
	Atom     int64         `json:"atom"`     // `AtomId`
	Path     string        `json:"path"`     // `PayloadLocator`
	Modality string        `json:"modality"` // `Modality`
	SHA256   ingest.Digest `json:"sha256"`   // `ContentHash`
	Reason   string        `json:"reason"`   // what is wrong
}

// locatorsSummary ends `migrate locators`.
type locatorsSummary struct {
	summaryHead
	To        string        `json:"to"`        // the target; `path` with `--back`
	Moved     migrate.Count `json:"moved"`     // files that were copied
	Linked    migrate.Count `json:"linked"`    // files whose content was stored already
	Cleared   migrate.Count `json:"cleared"`   // files whose path was cleared
	Back      migrate.Count `json:"back"`      // files whose copy was removed from the row
	There     migrate.Count `json:"there"`     // files stored by earlier runs
	Corrected int64         `json:"corrected"` // rows whose `ContentHash` was corrected
	Merged    int64         `json:"merged"`    // rows that were merged with another row of the same content
	Failed    int64         `json:"failed"`    // number of objects `refused`
	DryRun    bool          `json:"dry_run"`   // true if nothing was changed
}

// recompressSummary ends `recompress`.
type recompressSummary struct {
	summaryHead
	Models      int           `json:"models"`       // that were recompressed
	Compress    string        `json:"compress"`     // `--compress`
	Changed     migrate.Count `json:"changed"`      // payloads that were stored in a new encoding
	BytesBefore int64         `json:"bytes_before"` // of these payloads in the store, before
	BytesAfter  int64         `json:"bytes_after"`  // of these payloads in the store, now
	Kept        migrate.Count `json:"kept"`         // payloads that are kept as they are
	Small       migrate.Count `json:"small"`        // small payloads, which are not encoded
	InRows      migrate.Count `json:"in_rows"`      // payloads in rows, which are not encoded
	ByPosition  migrate.Count `json:"by_position"`  // payloads in the blob layout `position`, which are not encoded
	Failed      int64         `json:"failed"`       // number of objects `refused`
}

// renamedObject is the renamed model.
type renamedObject struct {
	Event string         `json:"event"` // `renamed`
	ID    ingest.ModelID `json:"id"`    // of the model
	From  string         `json:"from"`  // the former name
	Name  string         `json:"name"`  // the new name
}

// renameSummary ends `rename`.
type renameSummary struct {
	summaryHead
	Names int `json:"names"` // 1, or 0 if no name was changed
}

// removalObject is a removed model.
type removalObject struct {
	Event       string            `json:"event"`        // `would remove` or `removed`
	ID          ingest.ModelID    `json:"id"`           // of the model
	Name        string            `json:"name"`         // of the model
	State       ingest.ModelState `json:"state"`        // `complete`, `open` (unfinished), `registered` or `removing`
	Names       []string          `json:"names"`        // all names
	Files       []removedFile     `json:"files"`        // of the model
	Bytes       int64             `json:"bytes"`        // of these files
	BytesFreed  int64             `json:"bytes_freed"`  // of payloads that only this model needs
	BytesShared int64             `json:"bytes_shared"` // of payloads that other models need
	OnlyCopies  int               `json:"only_copies"`  // files stored whole whose path is not known
	Foreign     []foreignRows     `json:"foreign"`      // rows of other programs that refer to the model
}

// removedFile is a file of a removed model.
type removedFile struct {
	Name   string        `json:"name"`   // of the file
	Role   ingest.Role   `json:"role"`   // such as `weights`
	Bytes  int64         `json:"bytes"`  // size of the file
	SHA256 ingest.Digest `json:"sha256"` // empty until it is known
}

// foreignRows are rows of another program that refer to a model.
type foreignRows struct {
	Table  string `json:"table"`  // of the rows
	Column string `json:"column"` // that refers
	Refers string `json:"refers"` // table that the column refers to
	Rows   int64  `json:"rows"`   // number of rows
}

// removedName is a removed name of a model that has others.
type removedName struct {
	Event string         `json:"event"` // `would remove name` or `removed name`
	ID    ingest.ModelID `json:"id"`    // of the model
	Name  string         `json:"name"`  // the removed name
	Names []string       `json:"names"` // the remaining names
}

// rmSummary ends `rm`.
type rmSummary struct {
	summaryHead
	Models     int   `json:"models"`      // that were or would be removed
	Names      int   `json:"names"`       // that were or would be removed
	BytesFreed int64 `json:"bytes_freed"` // of payloads that only these models need
	Removed    bool  `json:"removed"`     // false if nothing was removed
}

// garbageObject is a payload that no row refers to, or a leftover of an interrupted write.
type garbageObject struct {
	Event string `json:"event"` // `would remove` or `removed`
	Name  string `json:"name"`  // in the store
	Bytes int64  `json:"bytes"` // size in the store
}

// refusedGarbage is an object in the store that could not be deleted.
type refusedGarbage struct {
	Event  string `json:"event"`  // `refused`
	Name   string `json:"name"`   // in the store
	Bytes  int64  `json:"bytes"`  // size in the store
	Reason string `json:"reason"` // why
}

// refusedModel is a model that could not be removed.
type refusedModel struct {
	Event  string         `json:"event"`  // `refused`
	ID     ingest.ModelID `json:"id"`     // of the model
	Name   string         `json:"name"`   // of the model
	Reason string         `json:"reason"` // why
}

// unfinishedObject is an unfinished model.
type unfinishedObject struct {
	Event string         `json:"event"` // `unfinished`
	ID    ingest.ModelID `json:"id"`    // of the model
	Name  string         `json:"name"`  // of the model
	Bytes int64          `json:"bytes"` // with rows
}

// gcSummary ends `gc`.
type gcSummary struct {
	summaryHead
	Payloads    int64 `json:"payloads"`     // without a row
	Remains     int64 `json:"remains"`      // leftovers of interrupted writes
	Bytes       int64 `json:"bytes"`        // of payloads and leftovers
	Atoms       int64 `json:"atoms"`        // contents that no model uses
	AtomBytes   int64 `json:"atom_bytes"`   // of these contents
	Spared      int64 `json:"spared"`       // objects that were kept as too recent
	SparedBytes int64 `json:"spared_bytes"` // of these objects
	Instead     int64 `json:"instead"`      // payloads that were kept because what a row names is missing
	Refused     int64 `json:"refused"`      // number of objects `refused`
	Removed     bool  `json:"removed"`      // true with `--yes`; otherwise the fields count what gc would remove
}
