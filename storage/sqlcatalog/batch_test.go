package sqlcatalog

import (
	"testing"

	"github.com/hartonomous/ingest/ingest"
)

// twoSegments is a batch of bytes 10 to 30 of a file, with payloads: a tensor segment and another
// one.
func twoSegments() *ingest.Batch {
	return &ingest.Batch{File: 1, From: 10, To: 30, Segments: []ingest.NewSegment{
		{Segment: ingest.Segment{Tensor: 0, Offset: 10, Bytes: 8}, Layer: 5, Digest: ingest.Sum([]byte("a")),
			Payload: make([]byte, 8)},
		{Segment: ingest.Segment{Tensor: ingest.NoTensor, Offset: 18, Bytes: 12}, Digest: ingest.Sum([]byte("b")),
			Payload: make([]byte, 12)},
	}}
}

func TestCheckBatch(t *testing.T) {
	for name, test := range map[string]struct {
		change             func(*ingest.Batch)
		refused, asPayload bool // without and with payloads in rows
	}{
		"whole":                  {func(*ingest.Batch) {}, false, false},
		"empty":                  {func(b *ingest.Batch) { b.To, b.Segments = 10, nil }, false, false},
		"empty, but a length":    {func(b *ingest.Batch) { b.Segments = nil }, true, true},
		"gap at the start":       {func(b *ingest.Batch) { b.From-- }, true, true},
		"gap in the middle":      {func(b *ingest.Batch) { b.Segments[1].Offset++ }, true, true},
		"overlap":                {func(b *ingest.Batch) { b.Segments[1].Offset-- }, true, true},
		"gap at the end":         {func(b *ingest.Batch) { b.To++ }, true, true},
		"segment beyond the end": {func(b *ingest.Batch) { b.To-- }, true, true},
		"segment of no bytes":    {func(b *ingest.Batch) { b.Segments[1].Bytes, b.To = 0, 18 }, true, true},
		"no digest":              {func(b *ingest.Batch) { b.Segments[1].Digest = ingest.Digest{} }, true, true},
		"tensor without a layer": {func(b *ingest.Batch) { b.Segments[0].Layer = 0 }, true, true},
		"layer without a tensor": {func(b *ingest.Batch) { b.Segments[1].Layer = 6 }, true, true},
		"no payload":             {func(b *ingest.Batch) { b.Segments[1].Payload = nil }, false, true},
		"short payload":          {func(b *ingest.Batch) { b.Segments[0].Payload = make([]byte, 7) }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := twoSegments()
			for i := range b.Segments {
				b.Segments[i].Payload = nil
			}
			test.change(b)
			if err := checkBatch(b, 0); (err != nil) != test.refused {
				t.Errorf("without payloads: error is %v", err)
			}
			b = twoSegments()
			b.InRows = true
			test.change(b)
			if err := checkBatch(b, 0); (err != nil) != test.asPayload {
				t.Errorf("with payloads: error is %v", err)
			}
			b = twoSegments()
			test.change(b)
			if err := checkBatch(b, 12); (err != nil) != test.refused {
				t.Errorf("with small payloads: error is %v", err)
			}
			if err := checkBatch(twoSegments(), 11); err == nil {
				t.Error("a payload of 12 bytes is not small")
			}
		})
	}
}

func TestCheckBatchWithEncodings(t *testing.T) {
	encoded := ingest.Address{URI: "dir:x", Bytes: 7,
		Encoding: ingest.Encoding{Codec: "planes", Stored: ingest.Sum(nil)}}
	for name, test := range map[string]struct {
		change  func(*ingest.NewSegment)
		refused bool
	}{
		"in a store":      {func(s *ingest.NewSegment) { s.Payload = nil }, false},
		"with no bytes":   {func(s *ingest.NewSegment) { s.Payload, s.Address.Bytes = nil, 0 }, true},
		"with more bytes": {func(s *ingest.NewSegment) { s.Payload, s.Address.Bytes = nil, 8 }, true},
		"in a row":        {func(*ingest.NewSegment) {}, true},
		"in a row without an address": {func(s *ingest.NewSegment) {
			s.Address = ingest.Address{Encoding: encoded.Encoding}
		}, true},
	} {
		b := twoSegments()
		b.Segments[0].Address = encoded
		test.change(&b.Segments[0])
		b.InRows = b.Segments[0].Payload != nil
		if err := checkBatch(b, 12); (err != nil) != test.refused {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

// Another program may write anything.
func TestEncodingOf(t *testing.T) {
	stored := ingest.Sum(nil)
	for _, test := range []struct {
		codec  string
		stored []byte
		want   ingest.Encoding
	}{
		{"planes", stored[:], ingest.Encoding{Codec: "planes", Stored: stored}},
		{"planes", stored[:31], ingest.Encoding{Codec: "planes"}},
		{"planes", nil, ingest.Encoding{Codec: "planes"}},
		{"", stored[:], ingest.Encoding{}},
	} {
		if got := EncodingOf(test.codec, test.stored); got != test.want {
			t.Errorf("codec %q with %d bytes is %+v, want %+v", test.codec, len(test.stored), got, test.want)
		}
	}
}

func TestFileProgress(t *testing.T) {
	right, wrong := ingest.Sum([]byte("right")), ingest.Sum([]byte("wrong"))
	half := fileProgress{Bytes: 100, Recorded: 50}
	undigested := fileProgress{Bytes: 100, Recorded: 100} // another program may leave a file like this
	whole := fileProgress{Bytes: 100, Recorded: 100, Digest: right}
	for name, test := range map[string]struct {
		file     fileProgress
		from, to int64
		digest   ingest.Digest
		accepted bool
	}{
		"next":                        {half, 50, 60, ingest.Digest{}, true},
		"last":                        {half, 50, 100, right, true},
		"again":                       {half, 40, 50, ingest.Digest{}, true},
		"partly again":                {half, 40, 60, ingest.Digest{}, true},
		"last again":                  {whole, 50, 100, right, true},
		"first of a whole file again": {whole, 0, 50, ingest.Digest{}, true},
		"the digest that is missing":  {undigested, 50, 100, right, true},
		"gap":                         {half, 51, 60, ingest.Digest{}, false},
		"before the file":             {half, -1, 60, ingest.Digest{}, false},
		"beyond the file":             {half, 50, 101, right, false},
		"last without a digest":       {half, 50, 100, ingest.Digest{}, false},
		"digest too early":            {half, 50, 99, right, false},
		"another digest":              {whole, 50, 100, wrong, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := &ingest.Batch{From: test.from, To: test.to, Digest: test.digest}
			if err := test.file.accepts(b); (err == nil) != test.accepted {
				t.Errorf("error is %v", err)
			}
		})
	}
}
