package pipeline

import (
	"fmt"
	"runtime"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
)

// Options are the settings of a run. The zero value is right; a number of zero
// or less means the default.
type Options struct {
	SegmentBytes int64 // most bytes of a segment; DefaultSegmentBytes
	// what the whole process may hold; buffer.DefaultMemory. An Ingester with a Pool has what that has.
	MemoryBytes int64
	Jobs        int // files at once; 1, or 2 where there are four processors and more
	// goroutines that store the segments of one file; four for each processor, at most 16, and as many as buffers
	Workers    int
	BatchRows  int   // most rows of a transaction; 1,000
	BatchBytes int64 // most bytes of a transaction; 256 MiB
	// BatchTime is how long a batch collects segments before it is written; 2 s.
	// With BatchBytes it bounds what is done again after a kill.
	BatchTime time.Duration
	// Recheck reads files again that are complete and whose size and time did not change.
	Recheck bool
}

// minBuffers lets one segment be read while another is stored.
const minBuffers = 2

// rowCopies is how many segments more the driver of a database holds where payloads lie in rows: what it is
// given is copied, on its way in as on its way out. Measured with the embedded catalogue, not derived.
const rowCopies = 3

// WithDefaults is o with the numbers that a run would use.
func (o Options) WithDefaults() Options {
	processors := runtime.GOMAXPROCS(0)
	orDefault(&o.SegmentBytes, ingest.DefaultSegmentBytes)
	orDefault(&o.MemoryBytes, buffer.DefaultMemory)
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

// buffers returns how many segments have room in a pool, beside those that others copy.
func (o Options) buffers(limit, copies int64) (int, error) {
	n := limit/o.SegmentBytes - copies
	if n < minBuffers {
		return 0, fmt.Errorf("a memory limit of %d MiB is too small for segments of %d MiB: allow at least %d MiB, or "+
			"make the segments smaller",
			(limit+buffer.Reserved)>>20, o.SegmentBytes>>20,
			(buffer.Reserved+(minBuffers+copies)*o.SegmentBytes+1<<20-1)>>20)
	}
	return int(min(n, 1024)), nil
}

// Check reports settings that cannot work together.
func (o Options) Check() error {
	o = o.WithDefaults()
	if o.SegmentBytes < ingest.MinSegmentBytes || o.SegmentBytes > ingest.MaxSegmentBytes {
		return fmt.Errorf("segment size of %d bytes: want %d to %d MiB", o.SegmentBytes, ingest.MinSegmentBytes>>20,
			ingest.MaxSegmentBytes>>20)
	}
	_, err := o.buffers(o.MemoryBytes-buffer.Reserved, 0)
	return err
}
