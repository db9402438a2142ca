package main

import "github.com/hartonomous/ingest/ingest"

// exportedObject is a file that was written, or that was there.
type exportedObject struct {
	Event  string        `json:"event"`  // `exported`; `present` if the file was there
	Path   string        `json:"path"`   // of the file
	SHA256 ingest.Digest `json:"sha256"` // of the file
	Bytes  int64         `json:"bytes"`  // size of the file
}

// leftOutObject is a file without a place in the layout.
type leftOutObject struct {
	Event  string         `json:"event"`  // `left out`
	ID     ingest.ModelID `json:"id"`     // of the model
	File   string         `json:"file"`   // path from which the file was ingested, or its name
	Reason string         `json:"reason"` // why
}

// namedObject is a model that the layout gives a name.
type namedObject struct {
	Event string         `json:"event"` // `named`
	ID    ingest.ModelID `json:"id"`    // of the model
	Name  string         `json:"name"`  // of the model
	As    string         `json:"as"`    // name in the layout
}

// exportSummary ends `export`.
type exportSummary struct {
	summaryHead
	Models       int   `json:"models"`        // of which all files are there
	Files        int   `json:"files"`         // number of objects `exported`
	Bytes        int64 `json:"bytes"`         // of these files
	FilesPresent int   `json:"files_present"` // number of objects `present`
	BytesPresent int64 `json:"bytes_present"` // of these files
	LeftOut      int   `json:"left_out"`      // number of objects `left out`
}

// damageObject is a segment that is not intact, or a file of a registered model.
type damageObject struct {
	Event   string         `json:"event"`   // `damaged`, `missing` or `repaired`; `changed` for a registered file
	Model   ingest.ModelID `json:"model"`   // id of the model
	Name    string         `json:"name"`    // of the model
	File    string         `json:"file"`    // name of the file
	Tensor  string         `json:"tensor"`  // name of the tensor; empty outside tensors
	Layer   ingest.LayerID `json:"layer"`   // `LayerId` of the tensor; 0 outside tensors
	Ordinal int            `json:"ordinal"` // of the segment within the tensor, from 0
	Offset  int64          `json:"offset"`  // of the segment in the file
	Bytes   int64          `json:"bytes"`   // of the segment; 0 for a whole file
	SHA256  ingest.Digest  `json:"sha256"`  // that the segment must have; empty for a whole file
	Reason  string         `json:"reason"`  // what is wrong
}

// damagedFile is a file that is stored whole and is not intact.
type damagedFile struct {
	Event  string        `json:"event"`  // `damaged` or `missing`
	Atom   int64         `json:"atom"`   // `AtomId`
	Path   string        `json:"path"`   // `PayloadLocator`
	SHA256 ingest.Digest `json:"sha256"` // that the file must have
	Reason string        `json:"reason"` // what is wrong
}

// notVerifiedModel is a model with segments that have no digest.
type notVerifiedModel struct {
	Event         string         `json:"event"`          // `not_verified`
	Model         ingest.ModelID `json:"model"`          // id of the model
	Name          string         `json:"name"`           // of the model
	Reason        string         `json:"reason"`         // why
	Segments      int64          `json:"segments"`       // number of segments
	WithoutDigest int64          `json:"without_digest"` // of these, without a digest
}

// notVerifiedFile is a file that is stored whole in a store that is not reachable.
type notVerifiedFile struct {
	Event  string `json:"event"`  // `not_verified`
	Atom   int64  `json:"atom"`   // `AtomId`
	Reason string `json:"reason"` // why
}

// verifySummary ends `verify`.
type verifySummary struct {
	summaryHead
	Models      int `json:"models"`       // that were verified
	Files       int `json:"files"`        // stored whole, and verified
	NotVerified int `json:"not_verified"` // models that could not be verified completely
	// false if `verify` checked the metadata of blobs, or the server hashed payloads
	Read                bool  `json:"read"`
	Bytes               int64 `json:"bytes"`                  // that were verified
	BytesHashedByServer int64 `json:"bytes_hashed_by_server"` // with `--server`
	Damaged             int   `json:"damaged"`                // number of objects `damaged`, `missing` and `changed`
	Repaired            int   `json:"repaired"`               // number of objects `repaired`
}

// copiedObject is the copy of a catalogue.
type copiedObject struct {
	Event string `json:"event"` // `copied`
	Path  string `json:"path"`  // of the copy
	Bytes int64  `json:"bytes"` // size of the copy
}

// backupSummary ends `backup`.
type backupSummary struct {
	summaryHead
	Files int   `json:"files"` // 1, or 0 if the copy was not completed
	Bytes int64 `json:"bytes"` // of the copy
}
