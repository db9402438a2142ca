package azureblob

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hartonomous/ingest/ingest"
	"github.com/hartonomous/ingest/storage"
)

// quick is the tests' retry policy. Pauses are short unless the service asks for more.
var quick = storage.Policy{First: time.Millisecond, Longest: 5 * time.Millisecond}

func randomBytes(n int, seed uint64) []byte {
	p := make([]byte, n)
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	_, _ = rand.NewChaCha8(key).Read(p)
	return p
}

// passes reports whether an error is transient.
func passes(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Transient()
}

// through opens a store behind a proxy, with retries.
func through(t *testing.T, p *proxyServer, settings Settings) *Store {
	t.Helper()
	clearEnvironment(t)
	settings.Policy = quick
	s := openStore(t, throughHost(t, p.host)+"/"+newContainer(), settings)
	// The container exists before the first fault.
	if err := openStore(t, azurite(t)+"/"+s.containerName(), Settings{}).makeContainer(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// Payloads are stored whole despite faults of the connection.
func TestFaults(t *testing.T) {
	any := func(*http.Request) bool { return true }
	isRead := func(r *http.Request) bool { return r.Method == http.MethodGet }
	isHead := func(r *http.Request) bool { return r.Method == http.MethodHead }
	for name, choose := range map[string]func(*http.Request) deed{
		"reset":                         firstOf(3, any, cut),
		"reset of a HEAD":               firstOf(3, isHead, cut),
		"cut in the upload":             firstOf(3, isUpload, cutBody),
		"answer of the upload is lost":  firstOf(3, isUpload, dropAnswer),
		"cut in the download":           firstOf(3, isRead, halveAnswer),
		"503":                           firstOf(3, any, say(503, "ServerBusy")),
		"500":                           firstOf(3, isUpload, say(500, "InternalError")),
		"408":                           firstOf(3, isUpload, say(408, "")),
		"429":                           firstOf(3, any, say(429, "TooManyRequests")),
		"damaged in transit":            firstOf(3, isUpload, say(400, "Crc64Mismatch")),
		"no answer":                     firstOf(2, isUpload, silent),
		"no answer to a HEAD":           firstOf(2, isHead, silent),
		"late, but not too late":        firstOf(5, any, late(200*time.Millisecond)),
		"503 after the write":           firstOf(3, isUpload, after(say(503, "ServerBusy"))),
		"reset of the 2nd and 3rd only": secondAndThird(cut),
	} {
		t.Run(name, func(t *testing.T) {
			s := through(t, newProxy(t, choose), Settings{Stall: time.Second})
			for i, size := range []int{0, 1, lookFirst - 1, lookFirst, 1 << 20} {
				p := randomBytes(size, uint64(i))
				digest := ingest.Sum(p)
				address, err := s.Put(t.Context(), ingest.Key{Digest: digest}, p)
				if err != nil {
					t.Fatalf("Put of %d bytes: %v", size, err)
				}
				got, err := get(t, s, digest, address)
				if err != nil || !bytes.Equal(got, p) {
					t.Fatalf("Get of %d bytes: %d bytes, %v", size, len(got), err)
				}
				if _, err := s.Stat(t.Context(), digest, address); err != nil {
					t.Fatalf("Stat: %v", err)
				}
				now, present, err := s.Reuse(t.Context(), digest, address)
				if !present || err != nil || now != address {
					t.Fatalf("Reuse: %+v, %v, %v", now, present, err)
				}
			}
		})
	}
}

// after performs d after the request has taken effect.
func after(d deed) deed {
	return func(p *proxyServer, w http.ResponseWriter, r *http.Request) {
		if answer, err := p.forward(r); err == nil {
			_ = answer.Body.Close()
		}
		d(p, w, r)
	}
}

func secondAndThird(d deed) func(*http.Request) deed {
	var n atomic.Int64
	return func(*http.Request) deed {
		if i := n.Add(1); i == 2 || i == 3 {
			return d
		}
		return nil
	}
}

// Every form of the header is respected.
func TestRetryAfter(t *testing.T) {
	for name, test := range map[string]struct {
		headers     []string
		least, most time.Duration
	}{
		"seconds": {[]string{"Retry-After", "1"}, time.Second, 20 * time.Second},
		"a date":  {[]string{"Retry-After", "+2s"}, 900 * time.Millisecond, 20 * time.Second},
		"ms":      {[]string{"x-ms-retry-after-ms", "400"}, 400 * time.Millisecond, 20 * time.Second},
		"ms before s": {[]string{"Retry-After", "100", "x-ms-retry-after-ms", "400"}, 400 * time.Millisecond,
			20 * time.Second},
		"a date long ago": {[]string{"Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"}, 0, 20 * time.Second},
		"nonsense":        {[]string{"Retry-After", "soon"}, 0, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if test.headers[1] == "+2s" { // dates have whole seconds
				test.headers[1] = time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat)
			}
			s := through(t, newProxy(t, firstOf(1, isUpload, say(503, "ServerBusy", test.headers...))), Settings{})
			begun := time.Now()
			if _, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum([]byte(name))}, []byte(name)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took < test.least || took > test.most {
				t.Errorf("it took %s, want %s to %s", took, test.least, test.most)
			}
		})
	}
}

// Errors that are not transient are not retried.
func TestFinalFaults(t *testing.T) {
	for code, status := range map[string]int{
		"AuthorizationPermissionMismatch": 403, "AuthenticationFailed": 403,
		"InvalidBlobTier": 400, "BlobArchived": 409,
		"LeaseIdMissing": 412, "NotImplemented": 501, "BlobImmutableDueToPolicy": 409, "": 404,
	} {
		var uploads atomic.Int64
		s := through(t, newProxy(t, func(r *http.Request) deed {
			if isUpload(r) {
				uploads.Add(1)
				return say(status, code)
			}
			return nil
		}), Settings{})
		_, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(nil)}, nil)
		var e *Error
		if !errors.As(err, &e) || e.Status != status || e.Code != code || uploads.Load() != 1 || e.Transient() {
			t.Errorf("%d %s: %v, %d uploads", status, code, err, uploads.Load())
		}
	}
}

// TestNotSentAgain counts the bytes that are sent: a present payload is not sent again.
func TestNotSentAgain(t *testing.T) {
	p := newProxy(t, func(*http.Request) deed { return nil })
	s := through(t, p, Settings{})
	payload := randomBytes(4<<20, 1)
	for range 3 {
		if _, err := s.Put(t.Context(), ingest.Key{Digest: ingest.Sum(payload)}, payload); err != nil {
			t.Fatal(err)
		}
	}
	if sent := p.written.Load(); sent != int64(len(payload)) {
		t.Errorf("%d bytes were sent for three puts of %d", sent, len(payload))
	}
}

// The end of the caller's context is not retried.
func TestCallerGivesUp(t *testing.T) {
	s := through(t, newProxy(t, func(*http.Request) deed { return silent }), Settings{})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := s.Put(ctx, ingest.Key{Digest: ingest.Sum(nil)}, nil)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 3*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
}
