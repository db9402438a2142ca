package reader

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/ingest/buffer"
	"github.com/hartonomous/ingest/ingest/codec"
	"github.com/hartonomous/ingest/ingest/codec/codectest"
)

// newEncodedFake stores a file of weights in six segments, all but the last encoded.
func newEncodedFake(t *testing.T) *fake {
	t.Helper()
	w := newFake(t, 0)
	const segment = 64 * kib
	w.content = codectest.Payload("F32", codectest.Weights(1, 6*segment/4))
	w.file = ingest.StoredFile{ID: 7, Name: "a.gguf", Bytes: int64(len(w.content)), SegmentBytes: segment,
		Digest: ingest.Sum(w.content)}
	encoder := codec.NewEncoder()
	for i := range 6 {
		raw := w.content[i*segment : (i+1)*segment]
		s := ingest.StoredSegment{RowID: int64(i + 1), File: 7, Layer: 3, Tensor: "t", Ordinal: i,
			Offset: int64(i * segment), Bytes: segment, Digest: ingest.Sum(raw)}
		payload := bytes.Clone(raw)
		if i < 5 {
			payload = encoder.Encode(make([]byte, segment), raw, "F32", codec.Auto)
			if payload == nil {
				t.Fatal("weights were not encoded")
			}
			s.Address.Encoding = ingest.Encoding{Codec: codec.Name, Stored: ingest.Sum(payload)}
		}
		s.Address.URI, s.Address.Bytes = "fake:"+s.Digest.String(), int64(len(payload))
		w.inStore[s.Digest] = payload
		w.rows = append(w.rows, s)
	}
	return w
}

func (w *fake) encodedReader(t *testing.T) *Reader {
	r := w.reader(t)
	r.Pool = buffer.New(2 * (128*kib + codec.DecoderBytes)) // two segments with their payloads
	return r
}

// Encoded payloads are decoded by every way to read a file.
func TestEncoded(t *testing.T) {
	w := newEncodedFake(t)
	f := w.encodedReader(t).Open(t.Context(), w.file)
	var out bytes.Buffer
	if _, err := f.WriteTo(&out); err != nil || !bytes.Equal(out.Bytes(), w.content) {
		t.Errorf("wrote %d of %d bytes, %v", out.Len(), len(w.content), err)
	}
	part := make([]byte, 100*kib)
	if _, err := f.ReadAt(part, 50*kib); err != nil || !bytes.Equal(part, w.content[50*kib:150*kib]) {
		t.Errorf("ReadAt: %v", err)
	}
	if all := w.verify(t, &Verifier{Reader: w.encodedReader(t), Writer: w}); len(all) != 0 {
		t.Errorf("damage: %+v", all)
	}
	w.attested = true
	w.got = 0
	all := w.verify(t, &Verifier{Reader: w.encodedReader(t), Writer: w, Attested: true})
	if len(all) != 0 || w.got > 0 {
		t.Errorf("attested payloads: %d reads, %+v", w.got, all)
	}
}

// Damage of an encoded payload is found. A repair encodes it again, over the damaged one: a later Put would
// rely on it. If this version encodes it differently, the repair stores the bytes themselves, and
// records that.
func TestEncodedDamage(t *testing.T) {
	for name, corrupt := range corruptions {
		w := newEncodedFake(t)
		damaged := w.rows[2]
		w.elements = "F32"
		w.corrupt(2, corrupt)
		again := &Verifier{Reader: w.encodedReader(t), Writer: w, Repair: bytes.NewReader(w.content)}
		checkDamage(t, w.verify(t, again), damaged, name == "missing", true)
		if all := w.verify(t, again); len(all) != 0 || w.replaced[damaged.Offset].Encoding != damaged.Address.Encoding {
			t.Errorf("%s, after repair: %+v, the row has %+v", name, all, w.replaced[damaged.Offset])
		}
		w = newEncodedFake(t)
		w.corrupt(2, corrupt)
		v := &Verifier{Reader: w.encodedReader(t), Writer: w}
		checkDamage(t, w.verify(t, v), w.rows[2], name == "missing", false)
		v.Repair = bytes.NewReader(w.content)
		checkDamage(t, w.verify(t, v), w.rows[2], name == "missing", true)
		now := w.replaced[w.rows[2].Offset]
		if now.Codec != "" || now.Bytes != w.rows[2].Bytes {
			t.Errorf("%s: after the repair the row has %+v", name, now)
		}
		w.rows[2].Address = now
		if all := w.verify(t, v); len(all) != 0 {
			t.Errorf("%s, after repair: %+v", name, all)
		}
	}
}

// Rows whose sizes are impossible, or with the codec of another version, are damage, and take no memory.
func TestEncodedRows(t *testing.T) {
	for want, change := range map[string]func(*ingest.Address){
		"bytes in the file, but 0 in the store":      func(a *ingest.Address) { a.Bytes = 0 },
		"bytes in the file, but -5 in the store":     func(a *ingest.Address) { a.Bytes = -5 },
		"bytes in the file, but 65536 in the store":  func(a *ingest.Address) { a.Bytes = 64 * kib },
		"bytes in the file, but 999999 in the store": func(a *ingest.Address) { a.Bytes = 999999 },
		"encoded with planes9":                       func(a *ingest.Address) { a.Codec = "planes9" },
		"it has":                                     func(a *ingest.Address) { a.Bytes-- },
	} {
		w := newEncodedFake(t)
		change(&w.rows[1].Address)
		all := w.verify(t, &Verifier{Reader: w.encodedReader(t), Writer: w})
		if len(all) != 1 || all[0].Segment.Ordinal != 1 || !strings.Contains(all[0].Reason.Error(), want) {
			t.Errorf("want %q: %+v", want, all)
		}
	}
	w := newEncodedFake(t)
	r := w.encodedReader(t)
	r.Pool = buffer.New(100 * kib)
	var small *buffer.TooSmallError
	if _, err := r.Open(t.Context(), w.file).WriteTo(&bytes.Buffer{}); !errors.As(err, &small) {
		t.Errorf("with too little memory: %v", err)
	}
}

// A payload that was encoded while the file is read, and whose former one is gone, is read from its new
// place. Its buffer has no room for that.
func TestPayloadsAreEncodedWhileAFileIsRead(t *testing.T) {
	w := newEncodedFake(t)
	stale := append([]ingest.StoredSegment(nil), w.rows...)
	for i := range stale {
		stale[i].Address = ingest.Address{URI: "fake:raw", Bytes: stale[i].Bytes}
	}
	w.goneURI = "fake:raw"
	r := w.encodedReader(t)
	moving := &movingRows{fake: w, stale: stale}
	r.Catalog = moving
	var out bytes.Buffer
	if _, err := r.Open(t.Context(), w.file).WriteTo(&out); err != nil || !bytes.Equal(out.Bytes(), w.content) {
		t.Errorf("wrote %d of %d bytes, %v", out.Len(), len(w.content), err)
	}
	moving.listed = false
	if all := w.verify(t, &Verifier{Reader: r, Writer: w}); len(all) != 0 {
		t.Errorf("damage: %+v", all)
	}
}

// Memory for what Verify holds beside its pass is checked: without it, the pass would wait forever.
func TestVerifyMemory(t *testing.T) {
	w := newEncodedFake(t)
	v := &Verifier{Reader: w.encodedReader(t), Writer: w, Server: true}
	v.Pool = buffer.New(3*64*kib + codec.DecoderBytes)
	var small *buffer.TooSmallError
	if err := v.Verify(t.Context(), w.file, func(Damage) {}); !errors.As(err, &small) {
		t.Errorf("with memory for three segments: %v", err)
	}
	v.Pool = buffer.New(5*64*kib + codec.DecoderBytes)
	if all := w.verify(t, v); len(all) != 0 {
		t.Errorf("damage: %+v", all)
	}
}
