package codec_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/codec/codectest"
)

// mostFuzzed limits the size of an original in fuzz targets.
const mostFuzzed = 1 << 16

func FuzzRoundTrip(f *testing.F) {
	names, c := []string{"", "BF16", "F32", "F64", "I32", "I8", "Q8_0", "Q4_K", "MXFP4"}, newCoder()
	for i := range names {
		for _, content := range contents(1500) {
			f.Add(content, uint8(i), true)
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte, typ uint8, most bool) {
		level := codec.Auto
		if most {
			level = codec.Max
		}
		name := names[int(typ)%len(names)]
		c.both(t, payload, name, level)
		repeated := bytes.Repeat(payload, min(20, 1+mostFuzzed/(len(payload)+1)))
		c.both(t, repeated, name, level)
	})
}

// FuzzDecode: the two decoders agree on any bytes, and Size returns what Decode wants.
func FuzzDecode(f *testing.F) {
	c := newCoder()
	for _, typ := range typeNames() {
		for _, content := range contents(1500) {
			if encoded := c.roundTrip(f, content, typ, codec.Max); encoded != nil {
				f.Add(bytes.Clone(encoded))
			}
		}
	}
	for _, g := range goldens {
		f.Add(g.read(f))
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		size, err := codec.Size(encoded)
		if err != nil && !errors.Is(err, codec.ErrCorrupt) {
			t.Fatal(err)
		}
		into := make([]byte, min(size, mostFuzzed))
		compareDecoders(t, c.Decoder, into, encoded)
	})
}

// FuzzPlane: the two decoders agree on a plane whose checksums are right, so that mutations reach
// the methods.
func FuzzPlane(f *testing.F) {
	c := newCoder()
	for _, content := range contents(2048) {
		for _, typ := range []string{"", "I8"} {
			if encoded := c.roundTrip(f, content, typ, codec.Max); encoded != nil {
				f.Add(encoded[chunkStart], uint16(2048), bytes.Clone(encoded[chunkStart+8:]))
			}
		}
	}
	for _, seed := range []uint64{1, 2, 3} {
		exponents := codectest.Payload("BF16", codectest.Weights(seed, 300*int(seed)))
		for i := range len(exponents) / 2 {
			exponents[i] = byte(binary.LittleEndian.Uint16(exponents[2*i:]) >> 7)
		}
		exponents = exponents[:len(exponents)/2]
		exponents = bytes.Repeat(exponents, 1+1024/len(exponents))
		if encoded := c.roundTrip(f, exponents, "I8", codec.Max); encoded != nil {
			f.Add(encoded[chunkStart], uint16(len(exponents)), bytes.Clone(encoded[chunkStart+8:]))
		}
	}
	f.Fuzz(func(t *testing.T, method byte, size uint16, stored []byte) {
		if size == 0 || len(stored) >= 1<<24 {
			return
		}
		compareDecoders(t, c.Decoder, make([]byte, size), wrap(method, int(size), stored))
	})
}

// compareDecoders decodes into into with both decoders.
func compareDecoders(t *testing.T, d *codec.Decoder, into, encoded []byte) {
	t.Helper()
	err := d.Decode(into, encoded)
	want, wantErr := decodeReference(encoded, len(into))
	switch {
	case err != nil && !errors.Is(err, codec.ErrCorrupt):
		t.Errorf("Decode returns %v", err)
	case (err == nil) != (wantErr == nil):
		t.Errorf("Decode returns %v, the decoder from the document %v", err, wantErr)
	case err == nil && !bytes.Equal(into, want):
		t.Errorf("decoded %x, want %x", into, want)
	}
}

// chunkStart is where the only chunk begins in a payload of bytes with one field.
const chunkStart = 28 + 2 + 4

// wrap returns an encoded payload of size bytes with one plane. Its checksums are right, if the
// plane can be decoded.
func wrap(method byte, size int, stored []byte) []byte {
	p := binary.LittleEndian.AppendUint64([]byte("planes\x01\x00"), uint64(size))
	p = binary.LittleEndian.AppendUint32(p, originalSum(method, size, stored))
	p = binary.LittleEndian.AppendUint32(p, 1<<20)
	p = append(p, 1, 0, 0, 1, 1, 0)
	p = binary.LittleEndian.AppendUint32(p, checksumOf(p))
	p = binary.LittleEndian.AppendUint32(p, uint32(len(stored))<<8|uint32(method))
	p = binary.LittleEndian.AppendUint32(p, checksumOf(append(bytes.Clone(p[len(p)-4:]), stored...)))
	return append(p, stored...)
}

// originalSum returns the checksum of a plane; 0 if it cannot be decoded.
func originalSum(method byte, size int, stored []byte) (sum uint32) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(refuse); !ok {
				panic(r)
			}
		}
	}()
	return checksumOf(planeReference(method, stored, size))
}
