package codec

import (
	"bytes"
	"math/bits"
	"testing"

	"github.com/hartonomous/ingest/ingest/format/gguf"
)

// FuzzRotated compares the instructions with plain Go, for numbers of 16 bits.
func FuzzRotated(f *testing.F) {
	f.Add([]byte("\x80\x3f\x00\xbf\xff\x7f"), uint8(100), uint8(1))
	f.Fuzz(func(t *testing.T, src []byte, repeat, shift uint8) {
		src = bytes.Repeat(src, int(repeat))
		src = src[min(int(shift%64), len(src)):]
		src = src[:len(src)/2*2]
		var planes [2][]byte
		for at := range planes {
			plane, plain := guarded(len(src)/2), guarded(len(src)/2)
			gatherRotated(plane[:len(src)/2], src, at)
			gatherRotatedGo(plain[:len(src)/2], src, at)
			if !bytes.Equal(plane, plain) {
				t.Fatalf("plane %d of %x is %x, in plain Go %x", at, src, plane, plain)
			}
			planes[at] = plane[:len(src)/2]
		}
		for i := range planes[0] {
			want := bits.RotateLeft16(uint16(src[2*i])|uint16(src[2*i+1])<<8, 1)
			if got := uint16(planes[0][i]) | uint16(planes[1][i])<<8; got != want {
				t.Fatalf("number %d is %04x, want %04x", i, got, want)
			}
		}
		into, plain := guarded(len(src)), guarded(len(src))
		join2Rotated(into[:len(src)], planes[0], planes[1])
		join2RotatedGo(plain[:len(src)], planes[0], planes[1])
		if !bytes.Equal(into, plain) || !bytes.Equal(into[:len(src)], src) {
			t.Fatalf("%x joined as %x, in plain Go %x", src, into, plain)
		}
	})
}

// guarded returns n bytes of zero and 64 that nothing may write.
func guarded(n int) []byte { return append(make([]byte, n), bytes.Repeat([]byte{0xa5}, 64)...) }

// TestJoin: join is the inverse of gather for any fields.
func TestJoin(t *testing.T) {
	for _, l := range []layout{
		{stride: 2, fields: 1, widths: [maxFields]uint16{2}},
		{stride: 2, fields: 2, widths: [maxFields]uint16{1, 1}},
		{stride: 4, fields: 2, widths: [maxFields]uint16{3, 1}},
		{stride: 4, fields: 2, widths: [maxFields]uint16{1, 3}},
		{stride: 4, fields: 3, widths: [maxFields]uint16{2, 1, 1}},
		{stride: 8, fields: 4, widths: [maxFields]uint16{1, 5, 1, 1}},
		{stride: 8, fields: 1, widths: [maxFields]uint16{8}},
		{stride: 34, fields: 3, widths: [maxFields]uint16{1, 1, 32}},
	} {
		for _, l.rotated = range []bool{false, l.stride <= 8} {
			for elements := range 70 {
				src := make([]byte, elements*l.stride)
				for i := range src {
					src[i] = byte(i * 131)
				}
				var planes [][]byte
				at := 0
				for _, width := range l.widths[:l.fields] {
					plane := make([]byte, elements*int(width))
					l.gather(plane, src, at, int(width))
					planes, at = append(planes, plane), at+int(width)
				}
				if into := make([]byte, len(src)); elements > 0 {
					if l.join(into, planes); !bytes.Equal(into, src) {
						t.Fatalf("%+v, %d elements: joined as %x, want %x", l, elements, into, src)
					}
				}
			}
		}
	}
}

// TestElements compares the sizes with those of package gguf.
func TestElements(t *testing.T) {
	for typ := gguf.Type(0); typ < 64; typ++ {
		if _, bytes, ok := typ.Block(); ok && elements[typ.String()].bytes != int(bytes) {
			t.Errorf("%v: elements of %d bytes, want %d", typ, elements[typ.String()].bytes, bytes)
		}
	}
}
