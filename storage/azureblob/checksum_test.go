package azureblob

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/minio/crc64nvme"

	"github.com/hartonomous/ingest/ingest"
)

// slowCRC is CRC-64/NVME bit by bit, from its published parameters: polynomial ad93d23594c93659,
// reflected, initial and final value all ones.
func slowCRC(p []byte) uint64 {
	crc := ^uint64(0)
	for _, b := range p {
		crc ^= uint64(b)
		for range 8 {
			if crc&1 == 1 {
				crc = crc>>1 ^ 0x9a6c9329ac4bc9b5 // the polynomial, reflected
			} else {
				crc >>= 1
			}
		}
	}
	return ^crc
}

func TestCRCAgainstPublishedValues(t *testing.T) {
	zeros := make([]byte, 4096)
	ones := []byte(strings.Repeat("\xff", 4096))
	for want, p := range map[uint64][]byte{ // from the catalogue of CRCs and the NVMe base specification
		0xae8b14860a799888: []byte("123456789"), 0x6482d367eb22b64e: zeros, 0xc0ddba7302eca3ac: ones,
	} {
		if got := crc64nvme.Checksum(p); got != want {
			t.Errorf("%d bytes: %016x, want %016x", len(p), got, want)
		}
		if got := slowCRC(p); got != want {
			t.Errorf("%d bytes, bit by bit: %016x, want %016x", len(p), got, want)
		}
	}
	table := crc64.MakeTable(0x9a6c9329ac4bc9b5)
	for size := range 600 {
		p := randomBytes(size, uint64(size))
		if a, b, c := crc64nvme.Checksum(p), slowCRC(p), crc64.Checksum(p, table); a != b || a != c {
			t.Errorf("%d bytes: %016x, %016x and %016x", size, a, b, c)
		}
	}
	if got := crcText(0xae8b14860a799888); got != "iJh5CoYUi64=" {
		t.Errorf("the header would be %s", got)
	}
}

// checkingService checks uploads like the service: it refuses a body whose checksum differs from
// its header, or that has no checksum.
type checkingService struct {
	damage func(n int, body []byte) // changes the nth body

	mu       sync.Mutex
	n        int
	accepted map[string][]byte
}

func (c *checkingService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	deny := func(status int, code string) {
		w.Header().Set("x-ms-error-code", code)
		w.WriteHeader(status)
	}
	query := r.URL.Query()
	switch {
	case r.Method != http.MethodPut:
		deny(http.StatusNotFound, "BlobNotFound")
		return
	case query.Get("comp") == "blocklist":
		w.WriteHeader(http.StatusCreated)
		return
	}
	c.n++
	if c.damage != nil && len(body) > 0 {
		c.damage(c.n, body)
	}
	sum := base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, slowCRC(body)))
	switch r.Header.Get("x-ms-content-crc64") {
	case "":
		deny(http.StatusBadRequest, "MissingRequiredHeader")
	case sum:
		c.accepted[r.URL.Path+query.Get("blockid")] = body
		w.Header().Set("x-ms-content-crc64", sum)
		w.WriteHeader(http.StatusCreated)
	default:
		deny(http.StatusBadRequest, "Crc64Mismatch")
	}
}

func openChecking(t *testing.T, service *checkingService, settings Settings) *Store {
	t.Helper()
	clearEnvironment(t)
	service.accepted = map[string][]byte{}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	return openStore(t, server.URL+"/devstoreaccount1/checked", settings)
}

// TestServiceChecksEachUpload sends payloads to a service that checks them.
func TestServiceChecksEachUpload(t *testing.T) {
	service := &checkingService{}
	s := openChecking(t, service, Settings{BlockBytes: 64 << 10})
	for _, size := range []int{0, 1, 9, 4096, 100_000} {
		p := randomBytes(size, uint64(size))
		if _, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		if _, err := s.Replace(t.Context(), ingest.Sum(p), ingest.Address{}, p); err != nil {
			t.Errorf("%d bytes again: %v", size, err)
		}
	}
	p := randomBytes(1<<20, 9)
	if _, err := s.PutFile(t.Context(), "", ingest.Sum(p), strings.NewReader(string(p)), int64(len(p))); err != nil {
		t.Error(err)
	}
	if len(service.accepted) != 5+16 || service.n != 2*5+16 {
		t.Errorf("%d uploads were accepted of %d", len(service.accepted), service.n)
	}
	for _, size := range []int{0, 1, 9, 4096, 100_000} {
		p := randomBytes(size, uint64(size))
		service.wantAccepted(t, payloadName(ingest.Sum(p)), p)
	}
	service.wantBlocks(t, p, 64<<10)
	// The service does check: it refuses another checksum.
	bad := newUpload("bad", ingest.Sum(p), p, metadata{})
	bad.crc++
	if _, err := s.send(t.Context(), bad, nil); !refused(err, bloberror.CRC64Mismatch) {
		t.Errorf("with a wrong checksum: %v", err)
	}
	if err := s.stageOnce(t.Context(), "bad", blockID(ingest.Sum(p), 8, 0, 0), 1, p); !refused(
		err,
		bloberror.CRC64Mismatch,
	) {
		t.Errorf("a block with a wrong checksum: %v", err)
	}
}

// wantAccepted checks the last content that the service accepted under a name.
func (c *checkingService) wantAccepted(t *testing.T, name string, want []byte) {
	t.Helper()
	if got, ok := c.accepted["/devstoreaccount1/checked/"+name]; !ok || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes were accepted (%v), want %d", name, len(got), ok, len(want))
	}
}

// wantBlocks checks that each block of a file was accepted.
func (c *checkingService) wantBlocks(t *testing.T, file []byte, size int) {
	t.Helper()
	for i := 0; i*size < len(file); i++ {
		block := file[i*size : min(len(file), (i+1)*size)]
		c.wantAccepted(
			t,
			payloadName(ingest.Sum(file))+blockID(ingest.Sum(file), int64(size), i, slowCRC(block)),
			block,
		)
	}
}

// Every second body is damaged: the service refuses it, and a retry succeeds.
func TestDamagedUpload(t *testing.T) {
	service := &checkingService{damage: func(n int, body []byte) {
		if n%2 == 1 {
			body[len(body)/2] ^= 0x10
		}
	}}
	s := openChecking(t, service, Settings{BlockBytes: 64 << 10, Policy: quick})
	p := randomBytes(300_000, 10)
	once := openStore(t, s.url, Settings{})
	if _, err := once.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p); err == nil ||
		!strings.Contains(err.Error(), "Crc64Mismatch") ||
		!passes(err) {
		t.Errorf("Put of a damaged payload: %v", err)
	}
	for _, p := range [][]byte{p, randomBytes(300_000, 11)} {
		if _, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p); err != nil {
			t.Errorf("with retries: %v", err)
		}
		service.wantAccepted(t, payloadName(ingest.Sum(p)), p)
	}
	if _, err := s.PutFile(t.Context(), "", ingest.Sum(p), strings.NewReader(string(p)), int64(len(p))); err != nil {
		t.Errorf("in blocks: %v", err)
	}
	service.wantAccepted(t, payloadName(ingest.Sum(p)), p)
	service.wantBlocks(t, p, 64<<10)
	if service.n < 2+2*5 {
		t.Errorf("%d uploads: none was damaged", service.n)
	}
}

// A service stores other bytes than were sent, and says so by their checksum. In the end the right
// bytes are stored, or none.
func TestOtherBytesReceived(t *testing.T) {
	clearEnvironment(t)
	var mu sync.Mutex
	var lies, blocks, tag int
	held := map[string][]byte{}
	headers := map[string]http.Header{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		path, comp := r.URL.Path, r.URL.Query().Get("comp")
		switch there := held[path]; {
		case r.Method == http.MethodPut && comp == "blocklist":
			w.WriteHeader(http.StatusCreated)
		case r.Method == http.MethodPut:
			if match := r.Header.Get("If-Match"); r.Header.Get("If-None-Match") != "" && there != nil ||
				match != "" && match != headers[path].Get("ETag") {
				w.Header().Set("x-ms-error-code", "ConditionNotMet")
				w.WriteHeader(http.StatusPreconditionFailed)
				return
			}
			if lies--; lies >= 0 {
				body[0]++
			}
			w.Header().Set("x-ms-content-crc64", crcText(slowCRC(body)))
			if comp == "block" {
				blocks++
			} else {
				tag++
				kept := http.Header{"Etag": {fmt.Sprintf(`"%d"`, tag)},
					"Last-Modified": {time.Now().UTC().Format(http.TimeFormat)}}
				for name, values := range r.Header {
					if strings.HasPrefix(name, "X-Ms-Meta-") {
						kept[name] = values
					}
				}
				held[path], headers[path] = body, kept
				maps.Copy(w.Header(), kept)
			}
			w.WriteHeader(http.StatusCreated)
		case there == nil:
			w.WriteHeader(http.StatusNotFound)
		case r.Method == http.MethodDelete:
			delete(held, path)
			w.WriteHeader(http.StatusAccepted)
		default:
			maps.Copy(w.Header(), headers[path])
			w.Header().Set("Content-Length", strconv.Itoa(len(there)))
		}
	}))
	defer server.Close()
	s := openStore(t, server.URL+"/devstoreaccount1/checked", Settings{BlockBytes: 100_000, Policy: quick})
	for size, lied := range map[int]int{2000: 1, 2001: 3, 100_000: 1, 100_001: 3} { // below and above lookFirst
		p := randomBytes(size, 14)
		lies = lied
		_, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p)
		if got := held["/devstoreaccount1/checked/"+payloadName(ingest.Sum(p))]; err != nil || !bytes.Equal(got, p) {
			t.Errorf("%d bytes, damaged %d times: %v, %d bytes are stored", size, lied, err, len(got))
		}
	}
	p := randomBytes(3000, 15)
	lies = 1 << 30
	if _, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(p)}, p); err == nil ||
		!strings.Contains(err.Error(), "other bytes") {
		t.Errorf("Put, damaged each time: %v", err)
	}
	if got := held["/devstoreaccount1/checked/"+payloadName(ingest.Sum(p))]; got != nil {
		t.Errorf("other bytes are stored")
	}
	p = randomBytes(200_000, 16)
	lies = 1
	if _, err := s.PutFile(t.Context(), "", ingest.Sum(p), bytes.NewReader(p), int64(len(p))); err != nil ||
		blocks != 3 {
		t.Errorf("PutFile: %v, %d blocks sent, want two and one of them again", err, blocks)
	}
	lies = 1 << 30
	if _, err := s.PutFile(t.Context(), "", ingest.Sum(p), bytes.NewReader(p), int64(len(p))); err == nil ||
		!strings.Contains(err.Error(), "other bytes") {
		t.Errorf("PutFile, lied to each time: %v", err)
	}
}

func BenchmarkCRC(b *testing.B) {
	p := randomBytes(8<<20, 1)
	table := crc64.MakeTable(0x9a6c9329ac4bc9b5)
	for name, sum := range map[string]func() uint64{
		"crc64nvme": func() uint64 { return crc64nvme.Checksum(p) },
		"standard":  func() uint64 { return crc64.Checksum(p, table) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				_ = fmt.Sprint(sum())
			}
		})
	}
}
