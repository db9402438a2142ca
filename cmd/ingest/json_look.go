package main

import (
	"encoding/json"
	"time"

	"github.com/hartonomous/ingest/ingest"
)

// jobObject is a job.
type jobObject struct {
	Object  string   `json:"object"`  // `job`
	ID      int64    `json:"id"`      // number of the job
	State   string   `json:"state"`   // `running`, `interrupted`, `complete`, `partial` or `failed`
	Command string   `json:"command"` // such as `models`
	Paths   []string `json:"paths"`   // absolute paths, or what else the job works on
	// when the job began
	Started time.Time `json:"started"`
	// when the job ended; only if it has
	Completed *time.Time `json:"completed,omitempty"`
	// saved by encoding payloads; negative if payloads were decoded
	BytesSaved int64 `json:"bytes_saved"`
	// files that were refused, and errors
	Problems []ingest.Problem `json:"problems"`
	*runningJob
}

// runningJob is the progress of a running ingestion.
type runningJob struct {
	// models that are begun and not complete; this and the following fields only for a running ingestion
	Models        []modelProgress `json:"models"`
	Bytes         int64           `json:"bytes"`          // of these models
	BytesRecorded int64           `json:"bytes_recorded"` // of these models, with rows
	// rate; only if it is known
	BytesPerSecond int64 `json:"bytes_per_second,omitempty"`
	// time until these models are complete; only if the rate is known
	SecondsLeft *int64 `json:"seconds_left,omitempty"`
}

// modelProgress is a model that is begun and not complete.
type modelProgress struct {
	ID       ingest.ModelID `json:"id"`             // of the model
	Name     string         `json:"name"`           // of the model
	Bytes    int64          `json:"bytes"`          // size of its files
	Recorded int64          `json:"bytes_recorded"` // of these, with rows
}

// statusSummary ends `status`. With `--watch`, it counts the jobs that were listed last.
type statusSummary struct {
	summaryHead
	Jobs        int `json:"jobs"`        // number of jobs
	Running     int `json:"running"`     // jobs in this state
	Interrupted int `json:"interrupted"` // jobs in this state
	Complete    int `json:"complete"`    // jobs in this state
	Partial     int `json:"partial"`     // jobs in this state
	Failed      int `json:"failed"`      // jobs in this state
}

// modelObject is a model.
type modelObject struct {
	Object string         `json:"object"` // `model`
	ID     ingest.ModelID `json:"id"`     // of the model
	Name   string         `json:"name"`   // the oldest name
	Names  []string       `json:"names"`  // all names
	// where each name came from, such as `ollama://llama3:latest`; the repository and the tag are in it
	URIs         []string          `json:"uris"`
	State        ingest.ModelState `json:"state"`        // `complete`, `open` (unfinished), `registered` or `removing`
	Type         string            `json:"type"`         // from the header
	Architecture string            `json:"architecture"` // from the header
	Quantization string            `json:"quantization"` // QUANT
	Parameters   int64             `json:"parameters"`   // number of parameters
	Job          int64             `json:"job"`          // the job that completed the model
	Files        []fileObject      `json:"files"`        // the weights come first
	Bytes        int64             `json:"bytes"`        // of all files
	Tensors      int64             `json:"tensors"`      // number in all files
	Segments     int64             `json:"segments"`     // number in all files
	BytesStored  int64             `json:"bytes_stored"` // STORED
	BytesShared  int64             `json:"bytes_shared"` // SHARED
	BytesSaved   int64             `json:"bytes_saved"`  // SAVED
	Ingested     time.Time         `json:"ingested"`     // when the model was completed
}

// fileObject is a file of a model.
type fileObject struct {
	Name          string        `json:"name"`           // of the file
	Role          ingest.Role   `json:"role"`           // such as `weights`
	Format        string        `json:"format"`         // such as `gguf`
	SHA256        ingest.Digest `json:"sha256"`         // empty until it is known
	Bytes         int64         `json:"bytes"`          // size of the file
	BytesRecorded int64         `json:"bytes_recorded"` // of these, with rows
	Tensors       int64         `json:"tensors"`        // number in the file
	Path          string        `json:"path"`           // from which the file was ingested
}

// listSummary ends `list`.
type listSummary struct {
	summaryHead
	Models int   `json:"models"` // listed
	Files  int   `json:"files"`  // of these models
	Bytes  int64 `json:"bytes"`  // of these files
}

// shownModel is the model.
type shownModel struct {
	modelObject
	Metadata json.RawMessage `json:"metadata"` // from the header; long lists are abridged
}

// placeObject is where a file of a registered model is.
type placeObject struct {
	Object         string `json:"object"`          // `place`
	File           string `json:"file"`            // name of the file
	Place          string `json:"place"`           // `path`, `row`, `store` or `segments`
	Location       string `json:"location"`        // the path, or the address in the store
	DigestComputed bool   `json:"digest_computed"` // false if the SHA-256 was taken from the file's name
}

// typeObject is the sizes of the model's payloads with an element type and a codec.
type typeObject struct {
	Object string `json:"object"` // `type`
	typeSizes
}

// tensorObject is a tensor.
type tensorObject struct {
	Object   string   `json:"object"`   // `tensor`
	Index    int      `json:"index"`    // from 0
	Name     string   `json:"name"`     // of the tensor
	Type     string   `json:"type"`     // of its elements
	Shape    []uint64 `json:"shape"`    // dimensions in the order of the file
	Elements int64    `json:"elements"` // number of elements
	Offset   int64    `json:"offset"`   // in the file, in bytes
	Bytes    int64    `json:"bytes"`    // size in the file; 0 if the type is not known
}

// storedTensor is a tensor of a model.
type storedTensor struct {
	tensorObject
	Kind     string `json:"kind"`     // such as `Attention`, from the name
	Segments int64  `json:"segments"` // number of segments
	File     string `json:"file"`     // name of the file
}

// segmentObject is a segment, with `--segments`.
type segmentObject struct {
	Object       string        `json:"object"`        // `segment`
	File         string        `json:"file"`          // name of the file
	Tensor       string        `json:"tensor"`        // name of the tensor; empty outside tensors
	Ordinal      int           `json:"ordinal"`       // within the tensor, from 0
	Offset       int64         `json:"offset"`        // in the file, in bytes
	Bytes        int64         `json:"bytes"`         // of the segment in the file
	BytesEncoded int64         `json:"bytes_encoded"` // of its payload
	Codec        string        `json:"codec"`         // empty for a payload that is not encoded
	SHA256       ingest.Digest `json:"sha256"`        // of the segment; empty if another program recorded none
	URI          string        `json:"uri"`           // LOCATION
}

// showSummary ends `show`.
type showSummary struct {
	summaryHead
	Places   int `json:"places"`   // number of objects `place`
	Types    int `json:"types"`    // number of objects `type`
	Tensors  int `json:"tensors"`  // number of objects `tensor`
	Segments int `json:"segments"` // number of objects `segment`
}

// inspectedFile is the file.
type inspectedFile struct {
	Object       string          `json:"object"`       // `file`
	Name         string          `json:"name"`         // of the model
	Path         string          `json:"path"`         // of the file, absolute
	Format       string          `json:"format"`       // such as `gguf`
	Architecture string          `json:"architecture"` // from the header
	Bytes        int64           `json:"bytes"`        // size of the file
	Parameters   int64           `json:"parameters"`   // number of parameters
	Tensors      int             `json:"tensors"`      // number of tensors
	Metadata     json.RawMessage `json:"metadata"`     // from the header; long lists are abridged
	Warnings     []string        `json:"warnings"`     // of the parser
}

// inspectSummary ends `inspect`.
type inspectSummary struct {
	summaryHead
	Tensors  int `json:"tensors"`  // number of objects `tensor`
	Warnings int `json:"warnings"` // number of warnings
}
