package ingest

import (
	"fmt"
	"runtime"
	"time"
)

// Options are the settings of a run. The zero value is right; a number of zero
// or less means the default.
type Options struct {
	SegmentBytes int64 // most bytes of a segment; DefaultSegmentBytes
	MemoryBytes  int64 // what the whole process may hold; DefaultMemoryBytes
	Jobs         int   // files at once; 1, or 2 where there are four processors and more
	Workers      int   // goroutines that store the segments of one file; four for each processor, at most 16, and as many as buffers
	BatchRows    int   // most rows of a transaction; 1,000
	BatchBytes   int64 // most bytes of a transaction; 256 MiB
	// BatchTime is how long a batch collects segments before it is written; 2 s.
	// With BatchBytes it bounds what is done again after a kill.
	BatchTime time.Duration
	// Recheck reads files again that are complete and whose size and time did not change.
	Recheck bool
}

// DefaultMemoryBytes is the cap of a run that names none.
const DefaultMemoryBytes = 96 << 20

// reservedBytes is what a run needs beside its buffers: the runtime, the
// catalogue's cache, the rows of the open batches. Measured, not derived.
const reservedBytes = 40 << 20

// minBuffers lets one segment be read while another is stored.
const minBuffers = 2

// rowCopies is how many segments more the driver of a database holds where payloads lie in rows: what it is
// given is copied, on its way in as on its way out. Measured with the embedded catalogue, not derived.
const rowCopies = 3

// WithDefaults is o with the numbers that a run would use.
func (o Options) WithDefaults() Options {
	processors := runtime.GOMAXPROCS(0)
	orDefault(&o.SegmentBytes, DefaultSegmentBytes)
	orDefault(&o.MemoryBytes, DefaultMemoryBytes)
	orDefault(&o.Jobs, min(2, max(1, processors/2)))
	orDefault(&o.Workers, min(16, 4*processors)) // most of them wait for the disk or the line
	orDefault(&o.BatchRows, 1000)
	orDefault(&o.BatchBytes, 256<<20)
	orDefault(&o.BatchTime, 2*time.Second)
	return o
}

func orDefault[T int | int64 | time.Duration](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

// buffers returns how many segments fit under the memory cap, beside those that others copy.
func (o Options) buffers(copies int64) (int, error) {
	n := (o.MemoryBytes-reservedBytes)/o.SegmentBytes - copies
	if n < minBuffers {
		return 0, fmt.Errorf("a memory cap of %d MiB is too small for segments of %d MiB: allow at least %d MiB, or make the segments smaller",
			o.MemoryBytes>>20, o.SegmentBytes>>20, (reservedBytes+(minBuffers+copies)*o.SegmentBytes+1<<20-1)>>20)
	}
	return int(min(n, 1024)), nil
}

// Check reports settings that cannot work together.
func (o Options) Check() error {
	o = o.WithDefaults()
	if o.SegmentBytes < MinSegmentBytes || o.SegmentBytes > MaxSegmentBytes {
		return fmt.Errorf("segment size of %d bytes: want %d to %d MiB", o.SegmentBytes, MinSegmentBytes>>20, MaxSegmentBytes>>20)
	}
	_, err := o.buffers(0)
	return err
}
