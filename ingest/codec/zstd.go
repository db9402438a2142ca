package codec

import "github.com/klauspost/compress/zstd"

// zstdSample is how many bytes of a payload show whether zstd is worth it.
const zstdSample = 32 << 10

// probeBytes plans the encoding of bytes that are not numbers.
func (e *Encoder) probeBytes(payload []byte, level Level) (p plan, ok bool) {
	p.stride, p.elements, p.fields, p.zstd = 1, maxChunk, 1, true
	p.widths[0], p.coded[0] = 1, true
	from := max(0, len(payload)-zstdSample) / 2
	sample := payload[from:min(len(payload), from+zstdSample)]
	most := len(sample) - len(sample)/planeSaving(level)
	return p, e.compress(e.scratch[:most], sample, level) > 0
}

// compress writes a zstd frame of plane to into and returns its size; 0 if there is no room.
func (e *Encoder) compress(into, plane []byte, level Level) int {
	if e.zstd == nil || e.zstdLevel != level {
		e.zstd, e.zstdLevel = newZstdEncoder(level), level
	}
	out := e.zstd.EncodeAll(plane, into[:0:len(into)])
	if len(out) > len(into) || len(out) >= len(plane) {
		return 0
	}
	return len(out)
}

func newZstdEncoder(level Level) *zstd.Encoder {
	speed := zstd.SpeedDefault
	if level == Max {
		speed = zstd.SpeedBetterCompression
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(speed), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(maxChunk), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are constant
	}
	return encoder
}

func newZstdDecoder() *zstd.Decoder {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxChunk), zstd.WithDecoderMaxWindow(maxChunk), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // the options are constant
	}
	return decoder
}
