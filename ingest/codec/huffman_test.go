package codec

import (
	"bytes"
	"errors"
	"testing"

	"github.com/klauspost/compress/huff0"
)

// FuzzHuffman compares the streams with those of klauspost/compress/huff0, which is the reference.
func FuzzHuffman(f *testing.F) {
	for _, n := range []int{1, 2, 3, 5, 40} {
		f.Add(bytes.Repeat([]byte("a plane of some bytes, coded with eleven bits or less"), n), uint8(n))
	}
	even := make([]byte, 160) // no byte is frequent
	for i := range even {
		even[i] = byte(i)
	}
	f.Add(even, uint8(20))
	e := NewEncoder()
	var tree tree
	var table table
	f.Fuzz(func(t *testing.T, plane []byte, repeat uint8) {
		plane = bytes.Repeat(plane, int(repeat))
		if len(plane) < minHuffman || len(plane) > 1<<17 {
			return
		}
		into := make([]byte, len(plane))
		n := e.huffman(into, plane)
		if n < 2 {
			return
		}
		back := make([]byte, len(plane))
		streams, err := tree.read(into[:n])
		if err != nil {
			t.Fatal(err)
		}
		table.set(&tree)
		if err := table.decode(back, streams); err != nil || !bytes.Equal(back, plane) {
			t.Fatalf("decoded differently, %v", err)
		}
		want, _, err := huff0.Compress4X(plane, &huff0.Scratch{Reuse: huff0.ReusePolicyNone})
		// huff0 does not count the bits of a plane in which no byte is frequent. It decodes ours.
		if !errors.Is(err, huff0.ErrIncompressible) && (err != nil || !bytes.Equal(into[:n], want)) {
			t.Errorf("coded as %x, huff0 %x, %v", into[:n], want, err)
		}
		s, rest, err := huff0.ReadTable(into[:n], nil)
		if err != nil {
			t.Fatal(err)
		}
		back, err = s.Decoder().Decompress4X(make([]byte, 0, len(plane)), rest)
		if err != nil || !bytes.Equal(back, plane) {
			t.Errorf("decoded differently by huff0, %v", err)
		}
	})
}
