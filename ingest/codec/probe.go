package codec

import "math"

const (
	smallest   = 1 << 10  // bytes of a payload: a smaller one is not worth a header
	leastBytes = 8 << 10  // of a sample
	mostBytes  = 64 << 10 // at level Auto
	fewest     = 480      // elements of a sample from which the entropy of a byte can be estimated roughly
	enough     = 4096     // and well
	runs       = 16       // places of the payload from which a sample is taken
)

// leastSaving is the part of a payload that must be saved, as a divisor.
const leastSaving = 64

// planeSaving returns the part of a plane that it must save to be coded, as a divisor. A smaller
// saving takes longer to compute than a fast store takes to write it.
func planeSaving(level Level) int {
	if level == Max {
		return leastSaving
	}
	return 16
}

// plan is how Encode divides a payload, and which planes it codes.
type plan struct {
	layout
	coded [maxFields]bool
	zstd  bool // the only plane is coded with zstd
}

// probe plans the encoding of a payload by a sample. ok is false if it would hardly save anything.
func (e *Encoder) probe(payload []byte, typ string, level Level) (p plan, ok bool) {
	kind, known := elements[typ]
	if len(payload) < smallest {
		return p, false
	}
	if !known {
		return e.probeBytes(payload, level)
	}
	p.stride, p.rotated = kind.bytes, kind.signed
	sample := e.sample(payload, p.stride, level)
	count := len(sample) / p.stride
	if count < fewest {
		return p, false
	}
	if p.rotated {
		rotateAll(sample, p.stride, 1)
	}
	least := planeSaving(level)
	if count < enough {
		least = planeSaving(Auto)
	}
	saved := e.columns(&p, sample, count*byteBits/least)
	p.rotated = p.rotated && p.fields > 1 // a single plane is the chunk itself
	p.elements = chunkOf(p.stride) / p.stride
	for i, width := range p.widths[:p.fields] {
		if p.coded[i] {
			p.elements = min(p.elements, mostPlane/int(width))
		}
	}
	return p, saved >= len(sample)*byteBits/leastSaving
}

// chunkOf returns the original bytes of a chunk. A chunk and its planes fit the second cache of a
// core, and a plane is long enough for the time and the bytes that its tree takes.
func chunkOf(stride int) int { return min(128<<10*stride, 512<<10) }

// sample copies some runs of elements to the scratch memory.
func (e *Encoder) sample(payload []byte, stride int, level Level) []byte {
	most := min(max(leastBytes, (fewest+runs)*stride), mostBytes)
	if level == Max {
		most = min(max(leastBytes, (enough+runs)*stride), cap(e.scratch))
	}
	whole := len(payload) / stride
	run := min(most/stride, whole) / runs
	sample := e.scratch[:0]
	for i := range runs {
		from := (whole - run) * i / (runs - 1) * stride
		sample = append(sample, payload[from:from+run*stride]...)
	}
	return sample
}

// columns divides the elements into fields. A column of bytes that saves at least worth is a field
// of its own, or joins the field before it if one tree is as good as two. Adjacent columns of others
// are one field. columns returns what is saved in total. Sizes are in units of 1/fraction bit.
func (e *Encoder) columns(p *plan, sample []byte, worth int) (saved int) {
	count := len(sample) / p.stride
	field, column := &e.counts, &e.column
	size := 0 // of the last field, if it is coded
	for at := range p.stride {
		*column = [256]uint32{}
		for i := at; i < len(sample); i += p.stride {
			column[sample[i]]++
		}
		columnSize := entropy(column, count)
		coded, last := count*byteBits-columnSize >= worth, p.fields-1
		if coded {
			saved += count*byteBits - columnSize
		}
		if last >= 0 && !coded && !p.coded[last] {
			p.widths[last]++
			continue
		}
		if last >= 0 && coded && p.coded[last] {
			e.merged = *field
			for i, n := range column {
				e.merged[i] += n
			}
			merged := entropy(&e.merged, count*int(p.widths[last]+1))
			if merged-size-columnSize <= (size+columnSize)/leastSaving {
				*field, size = e.merged, merged
				p.widths[last]++
				continue
			}
		}
		if p.fields == maxFields {
			return 0
		}
		p.widths[p.fields], p.coded[p.fields] = 1, coded
		p.fields++
		*field, size = *column, columnSize
	}
	return saved
}

// Sizes of samples are integers, so that they are the same on all processors.
const (
	fraction = 64
	byteBits = 8 * fraction
)

// countLog has n*log2(n) of small n.
var countLog = func() (logs [1024]int) {
	for n := range logs {
		logs[n] = nLogN(uint32(n))
	}
	return logs
}()

func nLogN(n uint32) int {
	if n < 2 {
		return 0
	}
	return int(math.Round(fraction * float64(n) * math.Log2(float64(n))))
}

// entropy estimates the size of total bytes with these counts, in units of 1/fraction bit, with the
// correction of Miller and Madow for small samples.
func entropy(counts *[256]uint32, total int) int {
	size, symbols := nLogN(uint32(total)), 0
	for _, n := range counts {
		if n == 0 {
			continue
		}
		symbols++
		if n < uint32(len(countLog)) {
			size -= countLog[n]
		} else {
			size -= nLogN(n)
		}
	}
	return size + (symbols-1)*fraction*100/139 // 1/(2 ln 2) bits
}
