package main

import "github.com/hartonomous/ingest/ingest"

// takenObject is a model that a run ingested.
type takenObject struct {
	Event        string         `json:"event"`         // `taken`
	ID           ingest.ModelID `json:"id"`            // of the model
	Name         string         `json:"name"`          // of the model
	Files        int            `json:"files"`         // number of its files
	Bytes        int64          `json:"bytes"`         // size of its files
	BytesResumed int64          `json:"bytes_resumed"` // of these, recorded by an interrupted run
	// true if the weights were stored already, and the model got another name
	Joined bool `json:"joined"`
}

// noteObject is a file or folder that a run did not take, or warns of.
type noteObject struct {
	Event  string `json:"event"`  // `skipped`, `warning` or `refused`
	Path   string `json:"path"`   // of the file or folder
	Reason string `json:"reason"` // why; it does not repeat the path
}

// plannedObject is a file that `--dry-run` would ingest.
type plannedObject struct {
	Event    string      `json:"event"`    // `would take`
	Name     string      `json:"name"`     // of the model
	Path     string      `json:"path"`     // of the file
	Role     ingest.Role `json:"role"`     // of the file in its model, such as `weights`
	Format   string      `json:"format"`   // such as `gguf`; `blob` if it is not known
	Bytes    int64       `json:"bytes"`    // size of the file
	Tensors  int         `json:"tensors"`  // number of tensors in the file
	Segments int64       `json:"segments"` // number of segments of the file
	Present  bool        `json:"present"`  // true if the file is stored and unchanged, or listed above
}

// dryRunSummary ends `--dry-run`.
type dryRunSummary struct {
	summaryHead
	Models       int   `json:"models"`        // found
	Files        int   `json:"files"`         // of these models
	Bytes        int64 `json:"bytes"`         // of these files
	FilesNew     int   `json:"files_new"`     // files to ingest
	BytesNew     int64 `json:"bytes_new"`     // of the files to ingest
	FilesPresent int   `json:"files_present"` // files that are already present
	BytesPresent int64 `json:"bytes_present"` // of the files that are already present
	Skipped      int   `json:"skipped"`       // number of objects `skipped`
	Refused      int   `json:"refused"`       // number of objects `refused`
	// disk space that the run needs at most; only if it writes to a disk of this computer
	BytesNeeded *int64 `json:"bytes_needed,omitempty"`
	// disk space that is free; only if the run writes to a disk of this computer
	BytesFree *int64 `json:"bytes_free,omitempty"`
}

// runCounts are what a run of `models` did.
type runCounts struct {
	Job          int64 `json:"job"`           // number of the job; 0 in a summary of several jobs, or of none
	Continued    bool  `json:"continued"`     // true if an earlier run began the job
	Taken        int   `json:"taken"`         // number of objects `taken`
	Skipped      int   `json:"skipped"`       // number of objects `skipped`
	Refused      int   `json:"refused"`       // number of objects `refused`
	BytesRead    int64 `json:"bytes_read"`    // of source files
	BytesStored  int64 `json:"bytes_stored"`  // of segments whose content had no row
	BytesShared  int64 `json:"bytes_shared"`  // of segments whose content had a row
	BytesPresent int64 `json:"bytes_present"` // that had rows before the run
	BytesSaved   int64 `json:"bytes_saved"`   // by encoding payloads
	// payloads that the run wrote to the store, by element type and codec
	Types       []typeSizes `json:"types"`
	Seconds     float64     `json:"seconds"`     // that the run took
	Interrupted bool        `json:"interrupted"` // true if the run was interrupted
}

// typeSizes are the sizes of the payloads with an element type and a codec.
type typeSizes struct {
	Type         string `json:"type"`          // type of the elements; empty for bytes outside tensors
	Codec        string `json:"codec"`         // empty for payloads that are not encoded
	Segments     int64  `json:"segments"`      // number of segments
	Bytes        int64  `json:"bytes"`         // of the segments in their file
	BytesEncoded int64  `json:"bytes_encoded"` // of their payloads
}

// runSummary ends `models`.
type runSummary struct {
	summaryHead
	runCounts
}

// resumedObject ends the objects of one job.
type resumedObject struct {
	Event string `json:"event"` // `job`
	runCounts
}

// resumeSummary ends `resume`, with the totals of the jobs.
type resumeSummary struct {
	summaryHead
	Jobs   int `json:"jobs"`   // number of jobs to resume
	Failed int `json:"failed"` // jobs that an error ended, or that could not be resumed
	runCounts
}

// registeredObject is a model that was registered.
type registeredObject struct {
	// `registered`; `present` if its files are stored, and only a name was added
	Event        string         `json:"event"`
	ID           ingest.ModelID `json:"id"`             // of the model
	Name         string         `json:"name"`           // of the model
	Files        int            `json:"files"`          // number of its files
	Bytes        int64          `json:"bytes"`          // size of its files
	FilesNotRead int            `json:"files_not_read"` // files whose SHA-256 was taken from their names
}

// registerSummary ends `register`.
type registerSummary struct {
	summaryHead
	Job        int64   `json:"job"`        // number of the job
	Registered int     `json:"registered"` // number of objects `registered` and `present`
	Skipped    int     `json:"skipped"`    // number of objects `skipped`
	Refused    int     `json:"refused"`    // number of objects `refused`
	BytesRead  int64   `json:"bytes_read"` // of source files
	Seconds    float64 `json:"seconds"`    // that the run took
}

// containersObject counts the files in a FILESTREAM filegroup, which has one per payload.
type containersObject struct {
	Event      string `json:"event"`      // `containers`
	Filegroup  string `json:"filegroup"`  // name of the filegroup
	OK         bool   `json:"ok"`         // false if there are too many files
	Files      int64  `json:"files"`      // that it has
	Planned    int64  `json:"planned"`    // that `models --dry-run` would add
	Containers int64  `json:"containers"` // number of containers of the filegroup
	Problem    string `json:"problem"`    // what to do if there are too many files, otherwise empty
}

// rebuiltObject is a model of the store's descriptions.
type rebuiltObject struct {
	Event string         `json:"event"` // `rebuilt`; `present` if the catalogue has the model
	ID    ingest.ModelID `json:"id"`    // of the model
	Name  string         `json:"name"`  // of the model, the oldest
	Files int            `json:"files"` // number of its files
	Bytes int64          `json:"bytes"` // of these files
}

// notRebuilt is a model that could not be rebuilt.
type notRebuilt struct {
	Event  string `json:"event"`  // `refused`
	Name   string `json:"name"`   // of the model; of the description if that is damaged
	Reason string `json:"reason"` // why
}

// rebuildSummary ends `rebuild`.
type rebuildSummary struct {
	summaryHead
	Models   int   `json:"models"`   // that were rebuilt
	Present  int   `json:"present"`  // number of objects `present`
	Refused  int   `json:"refused"`  // number of objects `refused`
	Lost     int   `json:"lost"`     // models that were present, with payloads that are not in the store
	Segments int64 `json:"segments"` // of the rebuilt models
	Bytes    int64 `json:"bytes"`    // of the rebuilt models
	// payloads in the store that no model has: garbage, or models without a description
	Unclaimed      int64 `json:"unclaimed"`
	UnclaimedBytes int64 `json:"unclaimed_bytes"` // of these payloads
}
