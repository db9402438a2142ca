package pipeline

import (
	"fmt"
	"runtime"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/codec"
)

// Options are the settings of a run. A number of zero or less means the default.
type Options struct {
	SegmentBytes int64 // maximum size of a segment; ingest.DefaultSegmentBytes
	// MemoryBytes is the memory limit of the process; buffer.DefaultMemory. Ingester.Pool overrides
	// it.
	MemoryBytes int64
	Jobs        int // files at a time; 1, or 2 with at least four processors
	// SmallJobs is the number of models of up to 1 MiB at a time, which share transactions, in a
	// catalogue that keeps small payloads; Jobs if that is set, else 64. They take at most half of the
	// buffers.
	SmallJobs int
	// Workers is the number of goroutines that store segments of one file; four for each processor,
	// at most 16 and at most the number of buffers.
	Workers    int
	BatchRows  int   // maximum rows of a transaction; 1,000
	BatchBytes int64 // maximum bytes of a transaction; 256 MiB
	// BatchTime is how long a batch collects segments before it is written; 2 s. Together with
	// BatchBytes it limits the work that is repeated after a kill.
	BatchTime time.Duration
	// Compress says how payloads for a store are encoded, unless each row has its own (Unshared).
	Compress codec.Level
	// Recheck reads complete files again although their size and modification time are unchanged.
	Recheck bool
}

// minBuffers lets one segment be read while another is stored.
const minBuffers = 2

// WithDefaults returns o with its defaults filled in.
func (o Options) WithDefaults() Options {
	processors := runtime.GOMAXPROCS(0)
	orDefault(&o.SegmentBytes, ingest.DefaultSegmentBytes)
	orDefault(&o.MemoryBytes, buffer.DefaultMemory)
	if o.Jobs > 0 {
		orDefault(&o.SmallJobs, o.Jobs)
	}
	orDefault(&o.SmallJobs, 64) // 5,000 files of 20 KB have 0.03 syncs each
	orDefault(&o.Jobs, min(2, max(1, processors/2)))
	orDefault(&o.Workers, min(16, 4*processors)) // most of them wait for the disk or the network
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

// encoders returns how many goroutines encode at a time, and the memory that they take: one for each
// processor, if they leave half of a pool of limit bytes.
func (o Options) encoders(limit int64) (n int, bytes int64) {
	if o.Compress == codec.Off {
		return 0, 0
	}
	each := o.SegmentBytes + o.Compress.EncoderBytes()
	n = int(min(int64(runtime.NumCPU()), max(1, limit/each/2)))
	return n, int64(n) * each
}

// buffers returns how many segments fit into a pool of limit bytes, without what is taken beside them.
func (o Options) buffers(limit, beside int64) (int, error) {
	n := (limit - beside) / o.SegmentBytes
	if n < minBuffers {
		return 0, fmt.Errorf("a memory limit of %s is too small for segments of %d MiB: allow at least %d MiB, or "+
			"make the segments smaller", buffer.Size(limit+buffer.Reserved), o.SegmentBytes>>20,
			(buffer.Reserved+minBuffers*o.SegmentBytes+beside+1<<20-1)>>20)
	}
	return int(min(n, 1024)), nil
}

// Check returns an error for settings that are out of range or cannot work together.
func (o Options) Check() error {
	o = o.WithDefaults()
	if o.SegmentBytes < ingest.MinSegmentBytes || o.SegmentBytes > ingest.MaxSegmentBytes {
		size := fmt.Sprintf("%d bytes", o.SegmentBytes)
		if o.SegmentBytes%(1<<20) == 0 {
			size = fmt.Sprintf("%d MiB", o.SegmentBytes>>20)
		}
		return fmt.Errorf("segment size of %s: want %d to %d MiB", size, ingest.MinSegmentBytes>>20,
			ingest.MaxSegmentBytes>>20)
	}
	_, encoders := o.encoders(o.MemoryBytes - buffer.Reserved)
	_, err := o.buffers(o.MemoryBytes-buffer.Reserved, encoders)
	return err
}
